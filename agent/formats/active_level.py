"""How loud speech is while somebody speaks: the active speech level of ITU-T P.56.

A mean over the whole file would call a notice with long pauses quiet, though its words
are not. Method B of the Recommendation: an envelope of two exponential averages, and of
fifteen thresholds the one 15.9 dB below the level of what exceeds it (with 0.2 s of
hangover) tells what was speech.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TIME_CONSTANT: Final = 0.03
"Seconds: of each of the envelope's two averages."
HANGOVER: Final = 0.2
"Seconds that count as active after the envelope falls below a threshold."
MARGIN: Final = 15.9
"Decibels between the active level and the threshold that finds it."
_THRESHOLDS: Final = 15
"Each half of the one before; the first is half of full scale."
_SILENT: Final = -math.inf


@dataclass(frozen=True, slots=True)
class ActiveLevel:
    """What was measured; decibels are of the overload point, dBov."""

    level: float
    "Of what is active; -inf where nothing is."
    activity: float
    "Fraction of the time that is, 0 to 1."


def active_level(samples: Floats, rate: int) -> ActiveLevel:
    """Measure samples of -1 to 1, `rate` of them a second."""
    energy = float(np.dot(samples, samples))
    if energy <= 0.0:
        return ActiveLevel(_SILENT, 0.0)
    envelope = _envelope(np.abs(samples), rate)
    hangover = round(HANGOVER * rate)
    before: tuple[float, float] | None = None
    for exponent in range(1, _THRESHOLDS + 1):
        threshold = 2.0**-exponent
        active = _active(envelope >= threshold, hangover)
        if not active:
            continue
        level = 10 * math.log10(energy / active)
        excess = level - 20 * math.log10(threshold) - MARGIN
        if excess >= 0:
            if before is not None:
                # Between two thresholds: where the excess would be nought.
                share = before[1] / (before[1] - excess)
                level = before[0] + share * (level - before[0])
            fraction = energy / 10 ** (level / 10) / len(samples)
            return ActiveLevel(level, min(1.0, fraction))
        before = level, excess
    # Fainter than the faintest threshold tells: all of it is one level.
    return ActiveLevel(10 * math.log10(energy / len(samples)), 1.0)


def _envelope(magnitudes: Floats, rate: int) -> Floats:
    """Two exponential averages, one after the other, by their frequency response."""
    decay = math.exp(-1.0 / (rate * TIME_CONSTANT))
    # As much silence as takes the averages down: the transform is circular.
    size = fast_size(len(magnitudes) + rate)
    spectrum = np.fft.rfft(magnitudes, size)
    turn = np.exp(-2j * np.pi * np.arange(len(spectrum)) / size)
    response = (1 - decay) / (1 - decay * turn)
    averaged: Floats = np.fft.irfft(spectrum * response**2, size)
    return averaged[: len(magnitudes)]


def fast_size(least: int) -> int:
    """The next size whose transform is fast: of no prime factor but 2, 3 and 5."""
    best = 1 << max(0, (least - 1).bit_length())
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            twos = threes << max(0, (-(-least // threes) - 1).bit_length())
            best = min(best, twos)
            threes *= 3
        fives *= 5
    return best


def _active(above: npt.NDArray[np.bool_], hangover: int) -> int:
    """How many samples are above, or follow one that was, closely."""
    places = np.arange(len(above))
    last = np.maximum.accumulate(np.where(above, places, -hangover - 1))
    return int(np.count_nonzero(places - last <= hangover))
