import numpy as np
import pytest

from agent.formats.resampling import REACH, upsample
from tests.formats.signals import sine


def padded(frequency: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    time = np.arange(-REACH, 4000 + REACH) / 8000
    return 10_000 * np.sin(2 * np.pi * frequency * time)


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
@pytest.mark.parametrize("frequency", [50.0, 440.0, 1000.0, 3400.0])
def test_a_tone_stays_that_tone_in_its_place(factor: int, frequency: float) -> None:
    out = upsample(padded(frequency), factor)
    expected = sine(frequency, 0.5, rate=8000 * factor, peak=10_000)
    assert len(out) == len(expected)
    assert np.abs(out - expected).max() < 15


def test_images_are_gone() -> None:
    out = upsample(padded(3000), 6) * np.hanning(24_000)
    spectrum = np.abs(np.fft.rfft(out))
    assert spectrum[:8000][2500:].max() < spectrum.max() / 3000
