"""Audio from anywhere, made into what a telephone notice is: 8 kHz, one channel.

Nothing here knows files: samples are arrays of -1 to 1.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.active_level import active_level, fast_size

Floats = npt.NDArray[np.float64]

RATE: Final = 8000
"Samples a second of telephone audio."
LEVEL: Final = -26.0
"""dBov of active speech: the nominal level of telephony (ITU-T P.56, G.100.1), at which
other voices on the line are, too."""
QUIETEST: Final = -33.0
LOUDEST: Final = -19.0
"A caller's ear takes 7 dB either way for a difference between speakers."
PEAK: Final = -1.0
"dBov that no sample may exceed: above it the laws of G.711 clip."
LEAD: Final = 0.1
TAIL: Final = 0.3
"Seconds of quiet that are left before and after the speech: no syllable is cut."
MAX_LEAD: Final = 0.5
MAX_TAIL: Final = 1.5
"Seconds of quiet that a caller takes for no fault."
_BLOCK: Final = 0.01
"Seconds over which quiet is judged …"
_DEPTH: Final = 30.0
"… decibels below active speech: what is as faint is breath, or a room."
_LOW: Final = 80.0
"Hertz below which a telephone has nothing but hum."
_HIGH: Final = 3600.0
"Hertz from which on it fades out, to nothing at half the rate."


def mono(samples: Floats) -> Floats:
    """The mean of all channels; `samples` has a column for each."""
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def to_telephone(samples: Floats, rate: int) -> Floats:
    """At 8000 samples a second, in the telephone's band, by way of its spectrum."""
    common = math.gcd(rate, RATE)
    step, made = rate // common, RATE // common
    # Whole periods of both rates, and silence between the end and the beginning.
    periods = fast_size(-(-len(samples) // step) + -(-rate // step) // 10)
    spectrum = np.fft.rfft(samples, periods * step)
    size = periods * made
    kept = np.zeros(size // 2 + 1, np.complex128)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    hertz = np.arange(len(kept)) * RATE / size
    fade = np.clip((RATE / 2 - hertz) / (RATE / 2 - _HIGH), 0, 1)
    band = np.sin(np.pi / 2 * fade) ** 2
    band[hertz < _LOW] = 0.0
    out: Floats = np.fft.irfft(kept * band, size) * (size / (periods * step))
    return out[: -(-len(samples) * made // step)]


def quiet(samples: Floats, rate: int) -> tuple[float, float]:
    """Seconds before the first and after the last block in which somebody speaks."""
    level = active_level(samples, rate).level
    size = max(1, round(_BLOCK * rate))
    count = len(samples) // size
    blocks = samples[: count * size].reshape(count, size)
    power = np.mean(blocks * blocks, axis=1)
    [loud] = np.nonzero(power > 10 ** ((level - _DEPTH) / 10))
    if not len(loud) or math.isinf(level):
        return len(samples) / rate, len(samples) / rate
    after = len(samples) - (int(loud[-1]) + 1) * size
    return int(loud[0]) * size / rate, after / rate


def trim(samples: Floats, rate: int) -> Floats:
    """Less of the quiet at either end: LEAD and TAIL are left."""
    before, after = quiet(samples, rate)
    first = max(0, round((before - LEAD) * rate))
    last = len(samples) - max(0, round((after - TAIL) * rate))
    return samples[first:last]


def levelled(samples: Floats, rate: int) -> Floats:
    """At LEVEL, or as near to it as PEAK allows. Silence stays silence."""
    level = active_level(samples, rate).level
    if math.isinf(level):
        return samples
    gain = 10 ** ((LEVEL - level) / 20)
    limit = 10 ** (PEAK / 20) / float(np.abs(samples).max())
    return samples * min(gain, limit)


def peak(samples: Floats) -> float:
    """The largest sample, in dBov; -inf of silence."""
    largest = float(np.abs(samples).max(initial=0.0))
    return 20 * math.log10(largest) if largest else -math.inf
