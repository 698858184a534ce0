"""Tones, and what is heard of them."""

import numpy as np
import numpy.typing as npt

RATE = 8000
Array = npt.NDArray[np.float64]


def sine(
    frequency: float, seconds: float, *, rate: int = RATE, peak: float = 8000
) -> Array:
    time = np.arange(round(seconds * rate)) / rate
    return peak * np.sin(2 * np.pi * frequency * time)


def pcm16(samples: Array) -> bytes:
    """16-bit little-endian."""
    return np.rint(samples).astype("<i2").tobytes()


def loudest(samples: npt.NDArray[np.float64], rate: int) -> float:
    """The frequency with the most energy."""
    windowed = samples * np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(windowed))
    return float(np.argmax(spectrum) * rate / len(samples))
