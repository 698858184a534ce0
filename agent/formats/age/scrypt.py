"""Passphrases: how an identity file is protected (C2SP age, "scrypt")."""

import re
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.formats.age.errors import HeaderError, KeyFormatError
from agent.formats.age.header import Stanza
from agent.formats.age.primitives import (
    WRAPPED_SIZE,
    Entropy,
    decode_base64,
    encode_base64,
    unwrap_file_key,
    wrap_file_key,
)
from agent.formats.age.recipient import KeyKind

TYPE: Final = "scrypt"
WORK_FACTOR: Final = 18
"log2 of scrypt's cost: about a second and 256 MiB, which is what age itself takes."
MAX_WORK_FACTOR: Final = 20
"1 GiB: what a hostile file may make us spend."
_SALT_LABEL: Final = b"age-encryption.org/v1/scrypt"
_SALT_SIZE: Final = 16
_DECIMAL: Final = re.compile(r"[1-9][0-9]?")


def _wrapping_key(passphrase: bytes, salt: bytes, work_factor: int) -> bytes:
    kdf = Scrypt(_SALT_LABEL + salt, length=32, n=1 << work_factor, r=8, p=1)
    return kdf.derive(passphrase)


class PassphraseRecipient:
    """Whoever knows the passphrase; stands alone in a file, else nothing is proved."""

    # A symmetric key loses nothing to a quantum computer.
    kind = KeyKind.POST_QUANTUM

    def __init__(self, passphrase: str, work_factor: int = WORK_FACTOR) -> None:
        if not passphrase or not 0 < work_factor <= MAX_WORK_FACTOR:
            raise KeyFormatError("The passphrase is empty or its work factor absurd.")
        self._passphrase = passphrase.encode()
        self._work_factor = work_factor

    def __str__(self) -> str:
        return "a passphrase"

    def __repr__(self) -> str:
        return "PassphraseRecipient(…)"

    def wrap(self, file_key: bytes, entropy: Entropy) -> Stanza:
        """Encrypt a file key under the passphrase; takes the work factor's time."""
        salt = entropy(_SALT_SIZE)
        key = _wrapping_key(self._passphrase, salt, self._work_factor)
        arguments = (encode_base64(salt), str(self._work_factor))
        return Stanza(TYPE, arguments, wrap_file_key(key, file_key))


class PassphraseIdentity:
    """Opens what PassphraseRecipient closed."""

    kind = KeyKind.POST_QUANTUM

    def __init__(self, passphrase: str, max_work_factor: int = MAX_WORK_FACTOR) -> None:
        self._passphrase = passphrase
        self._max_work_factor = max_work_factor

    def __repr__(self) -> str:
        return "PassphraseIdentity(…)"

    def recipient(self) -> PassphraseRecipient:
        """Whoever knows the same passphrase."""
        return PassphraseRecipient(self._passphrase)

    def encode(self) -> str:
        """Raises KeyFormatError: a passphrase does not stand in an identity file."""
        raise KeyFormatError("A passphrase has no place in an identity file.")

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key, or None if the passphrase is wrong or none is asked for.

        Raises HeaderError if the stanza is malformed or asks for too much work.
        """
        for stanza in stanzas:
            if stanza.type == TYPE:
                return self._unwrap(stanza)
        return None

    def _unwrap(self, stanza: Stanza) -> bytes | None:
        if len(stanza.arguments) != 2 or len(stanza.body) != WRAPPED_SIZE:
            raise HeaderError("A scrypt stanza is malformed.")
        salt = decode_base64(stanza.arguments[0])
        if len(salt) != _SALT_SIZE or not _DECIMAL.fullmatch(stanza.arguments[1]):
            raise HeaderError("A scrypt stanza is malformed.")
        work_factor = int(stanza.arguments[1])
        if work_factor > self._max_work_factor:
            raise HeaderError("The passphrase asks for more work than is believed.")
        key = _wrapping_key(self._passphrase.encode(), salt, work_factor)
        return unwrap_file_key(key, stanza.body)
