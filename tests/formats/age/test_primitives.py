import pytest
from hypothesis import given, strategies as st

from agent.formats.age.errors import HeaderError
from agent.formats.age.primitives import (
    WRAPPED_SIZE,
    decode_base64,
    encode_base64,
    hkdf,
    unwrap_file_key,
    wrap_file_key,
)


def test_hkdf_of_rfc_5869() -> None:
    # Appendix A.1; its output is longer than ours, so its first 32 bytes.
    made = hkdf(
        bytes.fromhex("0b" * 22),
        salt=bytes.fromhex("000102030405060708090a0b0c"),
        info=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
    )
    assert made.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    )


def test_wrapping() -> None:
    body = wrap_file_key(b"k" * 32, b"file key of 16 b")
    assert len(body) == WRAPPED_SIZE
    assert unwrap_file_key(b"k" * 32, body) == b"file key of 16 b"
    assert unwrap_file_key(b"j" * 32, body) is None


@given(st.binary(max_size=100))
def test_base64_round_trip(data: bytes) -> None:
    text = encode_base64(data)
    assert "=" not in text
    assert decode_base64(text) == data


@pytest.mark.parametrize(
    "text", ["A", "AA=", "AA==", "AB", "A A", "AA\n", "AA-_", "\u00e4\u00e4"]
)
def test_only_canonical_base64_passes(text: str) -> None:
    with pytest.raises(HeaderError, match="base64"):
        decode_base64(text)
