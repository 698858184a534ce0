import io
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile

from agent.formats.compression import Samples, compress
from tests.formats.signals import loudest, sine


def stereo(seconds: float, rate: int) -> Samples:
    channels = [sine(f, seconds, rate=rate) for f in (440, 1000)]
    return np.stack(channels, 1).astype(np.int16)


def pieces(
    samples: Samples,
    rate: int,
    *,
    opus: bool,
    comments: Sequence[str] = (),
    opus_bitrate: int = 16_000,
) -> list[bytes]:
    chunks = (samples[at : at + 30_000] for at in range(0, len(samples), 30_000))
    made = compress(
        chunks,
        opus=opus,
        sample_rate=rate,
        samples=len(samples),
        comments=comments,
        opus_bitrate=opus_bitrate,
    )
    return list(made)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize("seconds", [0.001, 0.02, 12.3])
def test_flac_is_the_samples(rate: int, seconds: float) -> None:
    samples = stereo(seconds, rate)
    made = pieces(samples, rate, opus=False)
    assert len(made) == -(-len(samples) // 30_000) + 1
    with soundfile.SoundFile(io.BytesIO(b"".join(made))) as file:
        assert (file.format, file.subtype) == ("FLAC", "PCM_16")
        assert (file.samplerate, file.frames) == (rate, len(samples))
        assert np.array_equal(file.read(dtype="int16"), samples)


def test_what_has_gone_tells_how_long_the_whole_is() -> None:
    samples = stereo(30, 8000)
    first = next(piece for piece in pieces(samples, 8000, opus=False) if piece)
    assert first[:4] == b"fLaC"
    assert int.from_bytes(first[18:26]) & (1 << 36) - 1 == len(samples)
    assert first[26:42] == bytes(16)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_opus_sounds_the_same(rate: int) -> None:
    samples = stereo(5, rate)
    data = b"".join(pieces(samples, rate, opus=True))
    assert len(data) < 5 * 6000
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.format, file.subtype) == ("OGG", "OPUS")
        assert (file.samplerate, file.frames) == (rate, len(samples))
        heard = file.read(dtype="int16").astype(float)
    for channel, frequency in enumerate((440, 1000)):
        middle = heard[rate : 4 * rate, channel]
        assert loudest(middle, rate) == pytest.approx(frequency, abs=2)
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(5657, rel=0.15)


def test_nothing_makes_nothing() -> None:
    assert pieces(np.zeros((0, 2), np.int16), 8000, opus=False) == [b""]


@pytest.mark.parametrize("opus", [False, True])
def test_comments_change_nothing_else(opus: bool) -> None:
    samples = stereo(30, 8000)
    plain = b"".join(pieces(samples, 8000, opus=opus))
    data = b"".join(pieces(samples, 8000, opus=opus, comments=["A=b", "C=\u00e4"]))
    assert (b"A=b" in data, b"C=\xc3\xa4" in data) == (True, True)
    with (
        soundfile.SoundFile(io.BytesIO(plain)) as without,
        soundfile.SoundFile(io.BytesIO(data)) as file,
    ):
        assert file.frames == len(samples)
        assert np.array_equal(file.read(dtype="int16"), without.read(dtype="int16"))


@pytest.mark.parametrize("opus_bitrate", [6000, 24_000, 64_000, 256_000])
def test_the_bit_rate_is_that_of_a_channel(opus_bitrate: int) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, (80_000, 2)).astype(np.int16)
    made = pieces(noise, 16_000, opus=True, opus_bitrate=opus_bitrate)
    bits = 8 * len(b"".join(made)) / 5
    assert bits == pytest.approx(2 * opus_bitrate, rel=0.25)
