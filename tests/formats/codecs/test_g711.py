import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from agent.formats.codecs import g711
from tests.corpora import corpus

CODES = bytes(range(256))


def codes(path: Path) -> bytes:
    """The vectors hold one code per 16-bit word."""
    words = struct.iter_unpack("<H", path.read_bytes())
    return bytes(code for (code,) in words)


@pytest.mark.parametrize(
    ("law", "encode", "decode"),
    [
        ("a", g711.encode_alaw, g711.decode_alaw),
        ("u", g711.encode_ulaw, g711.decode_ulaw),
    ],
)
def test_all_65536_samples_of_the_itu_sweep(
    law: str, encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]
) -> None:
    vectors = corpus("audio/itu-stl/g711/test_data")
    encoded = codes(vectors / f"sweep-r.{law}")
    assert encode((vectors / "sweep.src").read_bytes()) == encoded
    assert decode(encoded) == (vectors / f"sweep-r.{law}-{law}").read_bytes()
    assert decode(encoded) == (vectors / f"sweep-r.re{law}").read_bytes()


def test_well_known_codes() -> None:
    assert g711.ALAW_TO_LINEAR[g711.ALAW_SILENCE] == 8
    assert g711.ULAW_TO_LINEAR[g711.ULAW_SILENCE] == 0
    assert g711.ALAW_TO_LINEAR[0xAA] == 32_256
    assert g711.ALAW_TO_LINEAR[0x2A] == -32_256
    assert g711.ULAW_TO_LINEAR[0x80] == 32_124
    assert g711.ULAW_TO_LINEAR[0x00] == -32_124
    assert g711.encode_alaw(bytes(2)) == bytes((g711.ALAW_SILENCE,))
    assert g711.encode_ulaw(bytes(2)) == bytes((g711.ULAW_SILENCE,))


@pytest.mark.parametrize(
    ("encode", "decode", "zeros"),
    [
        (g711.encode_alaw, g711.decode_alaw, b""),
        # µ-law has two zeros; the negative one comes back as the positive.
        (g711.encode_ulaw, g711.decode_ulaw, b"\x7f"),
    ],
)
def test_every_code_survives_linear(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes], zeros: bytes
) -> None:
    for code in CODES:
        once = encode(decode(bytes((code,))))[0]
        assert once == (0xFF if code in zeros else code)


def test_other_law_is_the_nearest_code() -> None:
    for code in CODES:
        sample = g711.ALAW_TO_LINEAR[code]
        other = g711.ULAW_TO_LINEAR[g711.ALAW_TO_ULAW[code]]
        assert abs(other - sample) <= max(16, abs(sample) / 16)
        sample = g711.ULAW_TO_LINEAR[code]
        other = g711.ALAW_TO_LINEAR[g711.ULAW_TO_ALAW[code]]
        assert abs(other - sample) <= max(16, abs(sample) / 16)


def test_silence_stays_silence_in_the_other_law() -> None:
    assert g711.ULAW_TO_ALAW[g711.ULAW_SILENCE] == g711.ALAW_SILENCE
    assert abs(g711.ULAW_TO_LINEAR[g711.ALAW_TO_ULAW[g711.ALAW_SILENCE]]) <= 8


@pytest.mark.parametrize("encode", [g711.encode_alaw, g711.encode_ulaw])
def test_half_a_sample_is_refused(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match="whole pairs"):
        encode(b"\0\0\0")


@given(st.binary(max_size=300))
def test_decoding_is_the_table(data: bytes) -> None:
    assert g711.decode_alaw(data) == struct.pack(
        f"<{len(data)}h", *(g711.ALAW_TO_LINEAR[code] for code in data)
    )
    assert g711.decode_ulaw(data) == struct.pack(
        f"<{len(data)}h", *(g711.ULAW_TO_LINEAR[code] for code in data)
    )
