import io

import numpy as np
import pytest
import soundfile

from agent.formats.compression import FLAC_HEADER, Samples, compress
from tests.formats.signals import loudest, sine


def stereo(seconds: float, rate: int) -> Samples:
    channels = [sine(f, seconds, rate=rate) for f in (440, 1000)]
    return np.stack(channels, 1).astype(np.int16)


def pieces(samples: Samples, rate: int, *, opus: bool) -> list[bytes]:
    chunks = (samples[at : at + 30_000] for at in range(0, len(samples), 30_000))
    made = compress(chunks, opus=opus, sample_rate=rate, samples=len(samples))
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
    assert first[26:FLAC_HEADER] == bytes(16)


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
