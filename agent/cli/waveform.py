"""A sound as a terminal can show it: one character for each stretch of time."""

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BARS: Final = " ▁▂▃▄▅▆▇█"
_FLOOR: Final = -54.0
"dBov that is drawn as nothing; full scale is a whole bar."


def sparkline(samples: Floats, width: int = 60) -> str:
    """The peaks of `width` equal stretches, in decibels."""
    if not len(samples):
        return BARS[0] * width
    edges = np.linspace(0, len(samples), width + 1).astype(int)
    peaks = np.array(
        [
            np.abs(samples[first : max(first + 1, last)]).max()
            for first, last in pairwise(edges)
        ]
    )
    decibels = 20 * np.log10(np.maximum(peaks, 1e-9))
    steps = np.ceil((decibels - _FLOOR) / -_FLOOR * (len(BARS) - 1))
    return "".join(BARS[int(step)] for step in np.clip(steps, 0, len(BARS) - 1))


def draw(samples: Floats, rate: int, title: str, path: Path) -> None:
    """A PNG of it. Raises ImportError without matplotlib, OSError."""
    import matplotlib as mpl  # noqa: PLC0415 - the demo's extra, slow to import

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axis = plt.subplots(figsize=(11, 2.5))
    axis.plot(np.arange(len(samples)) / rate, samples, linewidth=0.5)
    axis.set_ylim(-1, 1)
    axis.set_xlabel("seconds")
    axis.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
