"""G.711: A-law and µ-law to linear and back, and from one law to the other.

Linear samples are 16-bit, little-endian in byte strings, as in the ITU-T software
tool library (G.191). No numpy: the media worker imports this, and its start counts.
"""

from functools import cache
from struct import Struct
from typing import Final

ALAW_SILENCE: Final = 0xD5
ULAW_SILENCE: Final = 0xFF

_SAMPLE: Final = Struct("<H")
_ULAW_BIAS: Final = 33


def _expand_alaw(code: int) -> int:
    code ^= 0x55
    segment, mantissa = code >> 4 & 7, code & 0x0F
    magnitude = mantissa << 4 | 8
    if segment:
        magnitude = (magnitude | 0x100) << segment - 1
    return magnitude if code & 0x80 else -magnitude


def _expand_ulaw(code: int) -> int:
    code ^= 0xFF
    segment, mantissa = code >> 4 & 7, code & 0x0F
    magnitude = ((mantissa << 1 | _ULAW_BIAS) << segment) - _ULAW_BIAS << 2
    return -magnitude if code & 0x80 else magnitude


def _compress_alaw(sample: int) -> int:
    magnitude = (~sample if sample < 0 else sample) >> 4
    segment = max(magnitude.bit_length() - 4, 0)
    code = magnitude
    if segment:
        code = segment << 4 | magnitude >> segment - 1 & 0x0F
    return (code if sample < 0 else code | 0x80) ^ 0x55


def _compress_ulaw(sample: int) -> int:
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + _ULAW_BIAS, 0x1FFF)
    segment = magnitude.bit_length() - 6
    code = segment << 4 | magnitude >> segment + 1 & 0x0F
    return (code | 0x80 if sample < 0 else code) ^ 0xFF


ALAW_TO_LINEAR: Final = [_expand_alaw(code) for code in range(256)]
"16-bit sample of each A-law octet."
ULAW_TO_LINEAR: Final = [_expand_ulaw(code) for code in range(256)]
"16-bit sample of each µ-law octet."
ALAW_TO_ULAW: Final = bytes(_compress_ulaw(sample) for sample in ALAW_TO_LINEAR)
"For bytes.translate."
ULAW_TO_ALAW: Final = bytes(_compress_alaw(sample) for sample in ULAW_TO_LINEAR)
"For bytes.translate."

# The two octets of each sample, for bytes.translate: faster than any loop, and a
# recording of an hour needs no list of sixty million numbers.
_ALAW_LOW: Final = bytes(sample & 0xFF for sample in ALAW_TO_LINEAR)
_ALAW_HIGH: Final = bytes(sample >> 8 & 0xFF for sample in ALAW_TO_LINEAR)
_ULAW_LOW: Final = bytes(sample & 0xFF for sample in ULAW_TO_LINEAR)
_ULAW_HIGH: Final = bytes(sample >> 8 & 0xFF for sample in ULAW_TO_LINEAR)


@cache
def linear_to_alaw() -> bytes:
    """The A-law octet of each sample, indexed by the sample modulo 65536."""
    return bytes(map(_compress_alaw, (*range(0x8000), *range(-0x8000, 0))))


@cache
def linear_to_ulaw() -> bytes:
    """The µ-law octet of each sample, indexed by the sample modulo 65536."""
    return bytes(map(_compress_ulaw, (*range(0x8000), *range(-0x8000, 0))))


def encode_alaw(pcm16: bytes) -> bytes:
    """A-law of 16-bit little-endian samples. Raises ValueError for half a sample."""
    return _encode(pcm16, linear_to_alaw())


def encode_ulaw(pcm16: bytes) -> bytes:
    """µ-law of 16-bit little-endian samples. Raises ValueError for half a sample."""
    return _encode(pcm16, linear_to_ulaw())


def decode_alaw(data: bytes) -> bytes:
    """16-bit little-endian samples of A-law octets."""
    return _decode(data, _ALAW_LOW, _ALAW_HIGH)


def decode_ulaw(data: bytes) -> bytes:
    """16-bit little-endian samples of µ-law octets."""
    return _decode(data, _ULAW_LOW, _ULAW_HIGH)


def _encode(pcm16: bytes, table: bytes) -> bytes:
    if len(pcm16) % 2:
        raise ValueError("16-bit samples come in whole pairs of octets")
    return bytes([table[sample] for (sample,) in _SAMPLE.iter_unpack(pcm16)])


def _decode(data: bytes, low: bytes, high: bytes) -> bytes:
    samples = bytearray(2 * len(data))
    samples[0::2] = data.translate(low)
    samples[1::2] = data.translate(high)
    return bytes(samples)
