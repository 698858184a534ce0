"""Classic recipients: X25519 (C2SP age, "The X25519 recipient type")."""

from collections.abc import Sequence
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from agent.formats.age import bech32
from agent.formats.age.errors import HeaderError, KeyFormatError
from agent.formats.age.header import Stanza
from agent.formats.age.primitives import (
    WRAPPED_SIZE,
    Entropy,
    decode_base64,
    encode_base64,
    hkdf,
    unwrap_file_key,
    wrap_file_key,
)
from agent.formats.age.recipient import KeyKind

RECIPIENT_PREFIX: Final = "age"
IDENTITY_PREFIX: Final = "age-secret-key-"
KEY_SIZE: Final = 32
_TYPE: Final = "X25519"
_INFO: Final = b"age-encryption.org/v1/X25519"


def check_point(point: bytes) -> X25519PublicKey:
    """A public key; raises ValueError if a shared secret with it could be no secret.

    Any clamped scalar is a multiple of eight and takes a low-order point to zero,
    which the exchange refuses (RFC 7748 section 6.1).
    """
    public = X25519PublicKey.from_public_bytes(point)
    X25519PrivateKey.from_private_bytes(bytes(KEY_SIZE)).exchange(public)
    return public


class X25519Recipient:
    """`age1…`: a Curve25519 public key."""

    kind = KeyKind.CLASSIC

    def __init__(self, public: bytes) -> None:
        try:
            self._key = check_point(public)
        except ValueError:
            raise KeyFormatError("This public key is not a usable point.") from None
        self._public = public
        self._text = bech32.encode(RECIPIENT_PREFIX, public)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"X25519Recipient({self._text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, X25519Recipient) and self._public == other._public

    def __hash__(self) -> int:
        return hash(self._public)

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        """Encrypt a file key to this recipient, under a share drawn for it."""
        ephemeral = X25519PrivateKey.from_private_bytes(entropy(KEY_SIZE))
        share = ephemeral.public_key().public_bytes_raw()
        key = hkdf(ephemeral.exchange(self._key), salt=share + self._public, info=_INFO)
        return Stanza(_TYPE, (encode_base64(share),), wrap_file_key(key, file_key))


class X25519Identity:
    """`AGE-SECRET-KEY-1…`: a Curve25519 private key."""

    kind = KeyKind.CLASSIC

    def __init__(self, secret: bytes) -> None:
        try:
            self._key = X25519PrivateKey.from_private_bytes(secret)
        except ValueError:
            raise KeyFormatError("This secret key has the wrong length.") from None
        self._public = self._key.public_key().public_bytes_raw()
        self._recipient = X25519Recipient(self._public)

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """A new key pair."""
        return cls(entropy(KEY_SIZE))

    def __repr__(self) -> str:
        return "X25519Identity(…)"

    def recipient(self) -> X25519Recipient:
        """The public half."""
        return self._recipient

    def encode(self) -> str:
        """The secret, as it stands in an identity file."""
        return bech32.encode(IDENTITY_PREFIX, self._key.private_bytes_raw()).upper()

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key, or None if no stanza is for this identity.

        Raises HeaderError if an X25519 stanza is malformed.
        """
        for stanza in stanzas:
            if stanza.type == _TYPE:
                file_key = self._unwrap(stanza)
                if file_key is not None:
                    return file_key
        return None

    def _unwrap(self, stanza: Stanza) -> bytes | None:
        if len(stanza.arguments) != 1 or len(stanza.body) != WRAPPED_SIZE:
            raise HeaderError("An X25519 stanza is malformed.")
        share = decode_base64(stanza.arguments[0])
        try:
            secret = self._key.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:
            raise HeaderError("An X25519 stanza's share is not a point.") from None
        key = hkdf(secret, salt=share + self._public, info=_INFO)
        return unwrap_file_key(key, stanza.body)
