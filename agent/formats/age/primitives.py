"""The small cryptographic pieces that all of age's recipients share."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.formats.age.errors import HeaderError

Entropy = Callable[[int], bytes]
"Given a number, as many bytes that nobody can guess: `os.urandom` in earnest."

FILE_KEY_SIZE: Final = 16
TAG_SIZE: Final = 16
WRAPPED_SIZE: Final = FILE_KEY_SIZE + TAG_SIZE
# Every wrapping key is used once, so that the nonce need not vary.
_ZERO_NONCE: Final = bytes(12)


def hkdf(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 to 32 bytes."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def wrap_file_key(wrapping_key: bytes, file_key: bytes) -> bytes:
    """Encrypt a file key under a key used for nothing else."""
    return ChaCha20Poly1305(wrapping_key).encrypt(_ZERO_NONCE, file_key, None)


def unwrap_file_key(wrapping_key: bytes, body: bytes) -> bytes | None:
    """The file key, or None if this is not the key it was wrapped under.

    The caller has checked the length of `body`, without which a ciphertext can be
    made that opens under many keys.
    """
    try:
        return ChaCha20Poly1305(wrapping_key).decrypt(_ZERO_NONCE, body, None)
    except InvalidTag:
        return None


def encode_base64(data: bytes) -> str:
    """Base64 without padding."""
    return b64encode(data).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes:
    """Strict inverse of encode_base64: one text per value. Raises HeaderError."""
    try:
        data = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise HeaderError("The header's base64 is malformed.") from None
    if encode_base64(data) != text:
        raise HeaderError("The header's base64 is not canonical.")
    return data
