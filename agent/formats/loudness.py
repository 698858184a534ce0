"""How loud a leg was, measured while its samples pass: by blocks of 20 ms.

Of a block counts the mean magnitude, not the power, and no sample counts more than
-30 dB of full scale: a lone click in silence is no speech. It is the cheap measure as
well: a table of octets, and sums of them.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.codecs.g711 import ALAW_TO_LINEAR, ULAW_TO_LINEAR
from agent.formats.container import SampleFormat

Samples = npt.NDArray[np.int16]
Octets = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

BLOCKS_PER_SECOND: Final = 50
FULL_SCALE: Final = 32_123
"Magnitude from which a sample counts as clipped: the last step of both laws."
SILENCE: Final = 104
"Mean magnitude below which a block is silent: -50 dB of full scale."

_STEP: Final = 4
"Magnitudes are counted in steps of so many."
_LOUDEST: Final = 254
"Steps: more than this counts as this, and full scale as one more."
_CLIPPED: Final = _LOUDEST + 1


class LevelMeter:
    """Takes one leg's samples in order; every piece but the last in whole blocks."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.clipped = 0
        "Samples at full scale so far."
        self._block = sample_rate // BLOCKS_PER_SECOND
        self._loud: list[Flags] = []

    @property
    def loud(self) -> Flags:
        """Of each block whether it was not silent; less than a block is none."""
        return np.concatenate(self._loud) if self._loud else np.zeros(0, np.bool_)

    def companded(self, octets: bytes | bytearray, law: SampleFormat) -> None:
        """Take A-law or µ-law octets."""
        levels = octets.translate(_levels(law))
        self.clipped += levels.count(_CLIPPED)
        self._judge(np.frombuffer(levels, np.uint8))

    def linear(self, samples: Samples) -> None:
        """Take 16-bit samples."""
        magnitude = samples ^ (samples >> 15)
        clipped = magnitude >= FULL_SCALE
        self.clipped += int(np.count_nonzero(clipped))
        levels = np.minimum(magnitude // _STEP, _LOUDEST) + clipped
        self._judge(levels.astype(np.uint8))

    def _judge(self, levels: Octets) -> None:
        count = len(levels) // self._block
        blocks = levels[: count * self._block].reshape(count, self._block)
        sums = np.add.reduce(blocks, axis=1, dtype=np.uint32)
        self._loud.append(sums * _STEP >= SILENCE * self._block)


@cache
def _levels(law: SampleFormat) -> bytes:
    """The level of each octet of a law."""
    table = ALAW_TO_LINEAR if law is SampleFormat.ALAW else ULAW_TO_LINEAR
    return bytes(map(_level, table))


def _level(sample: int) -> int:
    magnitude = sample ^ (sample >> 15)
    return min(magnitude // _STEP, _LOUDEST) + (magnitude >= FULL_SCALE)
