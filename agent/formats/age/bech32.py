"""Bech32 (BIP 173) as age uses it: without the limit of 90 characters."""

from typing import Final

from agent.formats.age.errors import KeyFormatError

_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
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
    values = _regroup(data, 8, 5, pad=True)
    checksum = _polymod(_expand(prefix) + values + [0] * _CHECKSUM_LENGTH) ^ 1
    values += [checksum >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_LENGTH)]
    return prefix + "1" + "".join([_CHARSET[value] for value in values])


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
    return prefix, bytes(_regroup(values[:-_CHECKSUM_LENGTH], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode()
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _FOLDED[checksum >> 25]
    return checksum


def _regroup(
    values: bytes | list[int], width: int, new_width: int, *, pad: bool
) -> list[int]:
    accumulator = bits = 0
    regrouped: list[int] = []
    for value in values:
        accumulator = (accumulator << width | value) & 0xFFF
        bits += width
        while bits >= new_width:
            bits -= new_width
            regrouped.append(accumulator >> bits & ((1 << new_width) - 1))
    rest = accumulator & ((1 << bits) - 1)
    if pad:
        if bits:
            regrouped.append(rest << (new_width - bits))
    elif bits >= width or rest:
        raise KeyFormatError("This key is padded wrongly.")
    return regrouped
