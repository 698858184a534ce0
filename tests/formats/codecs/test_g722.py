"""Against the vectors of ITU-T G.191 and of libg722."""

import hashlib

import numpy as np
import pytest

from agent.formats.codecs.g722 import SILENCE, G722Decoder, encode_8k
from tests.corpora import corpus
from tests.formats.signals import RATE, loudest, pcm16, sine


def decode(data: bytes, size: int) -> bytes:
    decoder = G722Decoder()
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(map(decoder.decode, pieces))


@pytest.mark.parametrize("size", [80, 160, 480, 1 << 20])
def test_decodes_the_itu_vector_whatever_the_packets(size: int) -> None:
    folder = corpus("audio/itu-stl") / "g722/test_data"
    words = np.frombuffer((folder / "codspw.cod").read_bytes(), "<u2")
    codes = (words & 0xFF).astype(np.uint8).tobytes()
    assert decode(codes, size) == (folder / "outsp1.bin").read_bytes()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("test", "a886f22d37ecd356e1963072bc481ed2"),
        ("fullscale", "e70c92cd2068d112839db12bfaa787cc"),
    ],
)
def test_decodes_as_published(name: str, digest: str) -> None:
    data = (corpus("audio/libg722") / f"{name}.g722").read_bytes()
    assert hashlib.sha256(decode(data, 160)).hexdigest().startswith(digest)


def test_an_octet_for_each_sample_of_8_khz() -> None:
    audio = pcm16(sine(440, 1.0))
    encoded = encode_8k(audio)
    assert len(encoded) == RATE
    samples = np.frombuffer(decode(encoded, 160), np.int16).astype(float)
    assert len(samples) == 2 * RATE
    assert loudest(samples[1600:], 16_000) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(samples[1600:] ** 2)) == pytest.approx(5657, rel=0.1)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        encode_8k(b"\0\0\0")


def test_silence_is_silent_after_whatever() -> None:
    decoder = G722Decoder()
    decoder.decode(encode_8k(pcm16(sine(440, 0.5))))
    decoder.decode(bytes((SILENCE,)) * 80)
    rest = np.frombuffer(decoder.decode(bytes((SILENCE,)) * 800), np.int16)
    assert np.abs(rest).max() < 50
