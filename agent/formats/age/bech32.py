"""Bech32 (BIP 173) as age uses it: without the limit of 90 characters.

Base32 (RFC 4648) cuts the same groups of five bits, with another alphabet and at the
speed of C; only the checksum is reckoned here.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Final

from agent.formats.age.errors import KeyFormatError

_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE32: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_VALUES: Final = bytes.maketrans(_BASE32, bytes(range(32)))
_FROM_VALUES: Final = bytes.maketrans(bytes(range(32)), _CHARSET.encode())
_TO_BASE32: Final = bytes.maketrans(bytes(range(32)), _BASE32)
_VALUES: Final = {character: value for value, character in enumerate(_CHARSET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _folded(top: int) -> int:
    folded = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            folded ^= generator
    return folded


# A post-quantum key pair is made for every recording: its 2,000 characters are to
# cost less than its lattice.
_FOLDED: Final = [_folded(top) for top in range(32)]
_CHECKSUM_LENGTH: Final = 6
MAX_LENGTH: Final = 4096
"Characters; a post-quantum recipient, the longest there is, has 1,959."


def encode(prefix: str, data: bytes) -> str:
    """Encode `data` in lower case under the human-readable `prefix`."""
    values = base64.b32encode(data).rstrip(b"=").translate(_TO_VALUES)
    expanded = bytes(_expand(prefix)) + values + bytes(_CHECKSUM_LENGTH)
    checksum = _polymod(expanded) ^ 1
    values += bytes(checksum >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_LENGTH))
    return f"{prefix}1{values.translate(_FROM_VALUES).decode()}"


def decode(text: str) -> tuple[str, bytes]:
    """The human-readable prefix, in lower case, and the bytes.

    Raises KeyFormatError, which never repeats `text`.
    """
    if len(text) > MAX_LENGTH:
        raise KeyFormatError("This key is too long to be one.")
    if text not in {text.lower(), text.upper()}:
        raise KeyFormatError("This key mixes upper and lower case.")
    prefix, separator, encoded = text.lower().rpartition("1")
    if not separator or not prefix or len(encoded) < _CHECKSUM_LENGTH:
        raise KeyFormatError("This key is cut short.")
    if not all("!" <= character <= "~" for character in prefix):
        raise KeyFormatError("This key has a character that no key has.")
    try:
        values = [_VALUES[character] for character in encoded]
    except KeyError:
        # The cause would repeat a character of what may be a secret.
        raise KeyFormatError("This key has a character that no key has.") from None
    if _polymod(_expand(prefix) + values) != 1:
        raise KeyFormatError("This key has a typing error: its checksum is wrong.")
    return prefix, _join(bytes(values[:-_CHECKSUM_LENGTH]))


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode()
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _FOLDED[checksum >> 25]
    return checksum


def _join(values: bytes) -> bytes:
    """Groups of five bits back into bytes; what is over must be zeros, and few."""
    padded = values.translate(_TO_BASE32) + b"=" * (-len(values) % 8)
    try:
        data = base64.b32decode(padded)
    except binascii.Error:
        raise KeyFormatError("This key is padded wrongly.") from None
    if base64.b32encode(data) != padded:
        raise KeyFormatError("This key is padded wrongly.")
    return data
