"""Beeps that tell who made them, and when: made here, and found again in a recording.

A beep is a chirp, whose likeness with itself falls away within a sample or two of its
place: that is what tells when it was. The caller's rise and the officer's fall, so that
neither is taken for the other.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agent.formats.active_level import fast_size

Floats = npt.NDArray[np.float64]

RATE: Final = 8000
COUNT: Final = 4
"Beeps of each party."
FIRST: Final = 0.4
"Seconds from the pattern's beginning to the caller's first beep …"
STEP: Final = 1.0
"… to its next; the officer beeps halfway between."
LENGTH: Final = 0.2
SECONDS: Final = FIRST + COUNT * STEP
"Of the whole pattern."
LIKE: Final = 0.7
"Likeness, 0 to 1, from which on a beep is one: a codec's noise leaves 0.9 and more."
_LOW: Final = 500.0
_HIGH: Final = 2500.0
"Hertz: within any telephone's band."
_LOUD: Final = 0.25
"Of full scale: -15 dBov, which clips nowhere."


class Sounded(NamedTuple):
    """One beep that was found."""

    at: float
    "Seconds from the beginning of the samples."
    likeness: float


def beep(*, rising: bool, rate: int = RATE) -> Floats:
    """One beep: the caller's if `rising`."""
    time = np.arange(round(LENGTH * rate)) / rate
    sweep = (_HIGH - _LOW) / LENGTH * time**2 / 2
    phase = _LOW * time + sweep if rising else _HIGH * time - sweep
    shape = np.sin(np.pi * np.arange(len(time)) / len(time)) ** 2
    samples: Floats = _LOUD * shape * np.sin(2 * np.pi * phase)
    return samples


def places(*, rising: bool) -> list[float]:
    """Seconds from the pattern's beginning at which a party beeps."""
    first = FIRST if rising else FIRST + STEP / 2
    return [first + number * STEP for number in range(COUNT)]


def pattern(*, rising: bool) -> bytes:
    """What a party says: 16-bit samples, little-endian, 8000 a second."""
    samples = np.zeros(round(SECONDS * RATE) + round(LENGTH * RATE))
    one = beep(rising=rising)
    for place in places(rising=rising):
        begin = round(place * RATE)
        samples[begin : begin + len(one)] += one
    return bytes(np.round(samples * 32767).astype("<i2").tobytes())


def find(samples: Floats, rate: int, *, rising: bool) -> list[Sounded]:
    """A party's beeps in samples of -1 to 1, in the order of time."""
    template = beep(rising=rising, rate=rate)
    if len(samples) < len(template):
        return []
    size = fast_size(len(samples) + len(template))
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(template, size))
    last = len(samples) - len(template) + 1
    product = np.fft.irfft(spectrum, size)[:last]
    sums = np.concatenate([[0.0], np.cumsum(samples**2)])
    energy = sums[len(template) :] - sums[: -len(template)]
    # Of near silence any shape is like anything: as if it were a little louder.
    floor = float(np.dot(template, template))
    likeness = product / np.sqrt((energy + floor * 1e-4) * floor)
    found: list[Sounded] = []
    while True:
        at = int(np.argmax(likeness))
        if likeness[at] < LIKE:
            return sorted(found)
        found.append(Sounded(at / rate, float(likeness[at])))
        likeness[max(0, at - len(template)) : at + len(template)] = 0.0
