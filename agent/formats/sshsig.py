"""SSH signatures (OpenSSH's PROTOCOL.sshsig) by Ed25519 keys.

Made and verified by stock `ssh-keygen -Y` too. SHA-512 is what is written; SHA-256 is
believed as well. A key may sit in a security key (`sk-ssh-ed25519`, PROTOCOL.u2f):
then somebody must have touched it. All other kinds of keys are refused by name.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from agent.common.errors import AgentError

ED25519: Final = "ssh-ed25519"
ED25519_SK: Final = "sk-ssh-ed25519@openssh.com"
BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----\n"
END: Final = b"-----END SSH SIGNATURE-----\n"
MAX_ARMORED: Final = 4096
"Bytes; a security key's signature with the longest names takes 1000."
MAX_KEY_TEXT: Final = 2048
MAX_PRIVATE_FILE: Final = 1 << 16
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = (1).to_bytes(4, "big")
_COLUMNS: Final = (70, 76)
"What ssh-keygen writes, and what PROTOCOL.sshsig says."
_HASHES: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"sha512": lambda data: hashlib.sha512(data).digest(),
    b"sha256": lambda data: hashlib.sha256(data).digest(),
}
_KEY_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64
_MAX_APPLICATION: Final = 256
_TOUCHED: Final = 0x01


class Namespace(StrEnum):
    """What a signature is for: one made for another kind of document is refused."""

    ROSTER = "recording-agent-roster"
    DAY_KEYS = "recording-agent-day-keys"
    SEAL = "recording-agent-seal"
    REQUEST = "recording-agent-request"
    AUDIT = "recording-agent-audit"
    EXPORT = "recording-agent-export"
    COMMAND = "recording-agent-command"
    STATE = "recording-agent-state"
    MARK = "recording-agent-mark"
    TOMBSTONE = "recording-agent-tombstone"


class SignatureError(AgentError):
    """The bytes are not what a trusted key has signed, or not a signature at all."""


class SshKeyError(AgentError):
    """The text is not a key that can be used; the message never repeats it."""

    hint = "Give an Ed25519 key as ssh-keygen -t ed25519 makes it."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half that anyone may know; a comment makes no difference."""

    algorithm: str
    "`ssh-ed25519` or `sk-ssh-ed25519@openssh.com`."
    point: bytes
    "32 bytes."
    application: bytes = b""
    "What a security key's pair was made for, mostly `ssh:`; else empty."

    @classmethod
    def parse(cls, text: str) -> Self:
        """One line as in a `.pub` file; a comment after the key is left out.

        Raises SshKeyError.
        """
        if len(text) > MAX_KEY_TEXT:
            raise SshKeyError("This is too long for a public key.")
        name, _, rest = text.strip().partition(" ")
        if name not in (ED25519, ED25519_SK):
            # Only a name that is one is told: the text may be a secret.
            known = name if name.startswith(("ssh-", "ecdsa-", "sk-")) else "This"
            raise SshKeyError(f"{known[:40]} is not a kind of key that is used here.")
        encoded = rest.partition(" ")[0]
        try:
            key = cls.from_blob(b64decode(encoded, validate=True))
        except ValueError:
            raise SshKeyError("The public key's base64 is malformed.") from None
        if str(key) != f"{name} {encoded}":
            raise SshKeyError("The public key's text is not as ssh-keygen writes it.")
        return key

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """From SSH's wire form (RFC 8709 section 4). Raises SshKeyError."""

        def malformed() -> AgentError:
            return SshKeyError("The public key is malformed.")

        reader = _Reader(blob, malformed)
        algorithm = reader.string()
        if algorithm not in (ED25519.encode(), ED25519_SK.encode()):
            raise SshKeyError("The public key is of a kind that is not used here.")
        point = reader.string()
        hardware = algorithm == ED25519_SK.encode()
        application = reader.string() if hardware else b""
        reader.end()
        if len(point) != _KEY_SIZE or len(application) > _MAX_APPLICATION:
            raise malformed()
        return cls(algorithm.decode(), point, application)

    def blob(self) -> bytes:
        """SSH's wire form."""
        parts = [self.algorithm.encode(), self.point]
        if self.algorithm == ED25519_SK:
            parts.append(self.application)
        return b"".join(map(_string, parts))

    def __str__(self) -> str:
        return f"{self.algorithm} {b64encode(self.blob()).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(self.blob()).digest()
        return f"SHA256:{b64encode(digest).decode().rstrip('=')}"

    def verify(self, payload: bytes, armored: str, namespace: Namespace) -> None:
        """Check an armored signature of this key over `payload`.

        Raises SignatureError.
        """
        signature = parse_signature(armored.encode())
        if signature.key != self:
            raise SignatureError("The signature is by another key.")
        signature.verify(payload, namespace)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as it stands in its armor: read, not yet believed."""

    key: PublicKey
    "Whose it claims to be."
    namespace: bytes
    hash_algorithm: bytes
    raw: bytes
    "64 bytes."
    flags: int = 0
    "A security key's: bit 0 is set if somebody touched it."
    counter: int = 0
    "A security key's own count of its signatures."

    def verify(self, payload: bytes, namespace: Namespace) -> None:
        """Check that `key` signed `payload` for this purpose. Raises SignatureError."""
        if self.namespace != namespace.encode():
            raise SignatureError(f"The signature is not for a {namespace} document.")
        digest = _HASHES[self.hash_algorithm](payload)
        signed = _signed_bytes(self.namespace, self.hash_algorithm, digest)
        if self.key.algorithm == ED25519_SK:
            if not self.flags & _TOUCHED:
                raise SignatureError("Nobody touched the security key that signed.")
            signed = b"".join(
                (
                    hashlib.sha256(self.key.application).digest(),
                    bytes([self.flags]),
                    self.counter.to_bytes(4, "big"),
                    hashlib.sha256(signed).digest(),
                )
            )
        try:
            Ed25519PublicKey.from_public_bytes(self.key.point).verify(self.raw, signed)
        except InvalidSignature:
            raise SignatureError(
                f"The signature by {self.key.fingerprint} is not over these bytes."
            ) from None


def parse_signature(armored: bytes) -> Signature:
    """Read one armored signature, in the exact form in which ssh-keygen writes it.

    Raises SignatureError: it is malformed, or its key or hash is of no use here.
    """
    blob = _dearmor(armored)

    def malformed() -> AgentError:
        return SignatureError("The signature is malformed.")

    reader = _Reader(blob, malformed)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise SignatureError("The armor holds something else than an SSH signature.")
    if reader.take(4) != _VERSION:
        raise SignatureError("The signature is of an unknown version.")
    try:
        key = PublicKey.from_blob(reader.string())
    except SshKeyError as error:
        raise SignatureError(f"The signature cannot be used: {error}") from None
    namespace = reader.string()
    if reader.string():
        raise SignatureError("The signature uses a field that is reserved.")
    hash_algorithm = reader.string()
    if hash_algorithm not in _HASHES:
        raise SignatureError("The signature uses a hash other than SHA-512, SHA-256.")
    inner = _Reader(reader.string(), malformed)
    reader.end()
    if inner.string() != key.algorithm.encode():
        raise SignatureError("The signature and its key are of different kinds.")
    raw = inner.string()
    if len(raw) != _SIGNATURE_SIZE:
        raise SignatureError("The signature is not of 64 bytes.")
    flags = counter = 0
    if key.algorithm == ED25519_SK:
        flags, counter = inner.take(1)[0], int.from_bytes(inner.take(4), "big")
    inner.end()
    return Signature(key, namespace, hash_algorithm, raw, flags, counter)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret Ed25519 key."""

    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """From 32 random bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_private_file(cls, data: bytes) -> Self:
        """From a private key file of OpenSSH, which has no passphrase.

        Raises SshKeyError.
        """
        if len(data) > MAX_PRIVATE_FILE:
            raise SshKeyError("This is too long for a private key file.")
        try:
            private = load_ssh_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise SshKeyError(
                "This is not a private key file of OpenSSH, or it has a passphrase."
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise SshKeyError("The private key is of a kind that is not used here.")
        return cls(private)

    @property
    def public(self) -> PublicKey:
        """The half that anyone may know."""
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PublicKey(ED25519, raw)

    def to_private_file(self) -> bytes:
        """The secret half as `ssh-keygen` writes it, without a passphrase."""
        return self._private.private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )

    def sign(self, payload: bytes, namespace: Namespace) -> str:
        """The armored signature over `payload`, as `ssh-keygen -Y sign` makes it."""
        name, algorithm = namespace.encode(), b"sha512"
        raw = self._private.sign(
            _signed_bytes(name, algorithm, _HASHES[algorithm](payload))
        )
        inner = _string(ED25519.encode()) + _string(raw)
        fields = (self.public.blob(), name, b"", algorithm, inner)
        return _armor(_MAGIC + _VERSION + b"".join(map(_string, fields))).decode()


def _signed_bytes(namespace: bytes, algorithm: bytes, digest: bytes) -> bytes:
    """What the key itself signs (PROTOCOL.sshsig, section 3)."""
    return _MAGIC + b"".join(map(_string, (namespace, b"", algorithm, digest)))


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _armor(blob: bytes, columns: int = _COLUMNS[0]) -> bytes:
    text = b64encode(blob)
    lines = [text[i : i + columns] + b"\n" for i in range(0, len(text), columns)]
    return b"".join([BEGIN, *lines, END])


def _dearmor(armored: bytes) -> bytes:
    if len(armored) > MAX_ARMORED:
        raise SignatureError("The signature is longer than any that is believed.")
    if not (armored.startswith(BEGIN) and armored.endswith(END)):
        raise SignatureError("The signature's first or last line is missing.")
    body = armored[len(BEGIN) : -len(END)]
    try:
        blob = b64decode(body.replace(b"\n", b""), validate=True)
    except ValueError:
        raise SignatureError("The signature's base64 is malformed.") from None
    # One signature has one form: what reads alike and is not the same is altered.
    if all(_armor(blob, columns) != armored for columns in _COLUMNS):
        raise SignatureError("The signature is not in the form ssh-keygen writes.")
    return blob


class _Reader:
    """Takes fields off SSH's wire form (RFC 4251 section 5)."""

    def __init__(self, data: bytes, error: Callable[[], AgentError]) -> None:
        self._data = data
        self._error = error

    def take(self, size: int) -> bytes:
        if size > len(self._data):
            raise self._error()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def end(self) -> None:
        if self._data:
            raise self._error()
