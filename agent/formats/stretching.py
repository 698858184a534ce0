"""Audio made longer or shorter by single samples, where that is heard least."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", np.uint8, np.int16)


def stretched(
    values: npt.NDArray[T], by: int, levels: npt.NDArray[np.int16]
) -> npt.NDArray[T]:
    """`values` with `by` of them twice, or, if negative, with -`by` left out.

    `levels` is what each stands for, in linear samples. Chosen is the first of those
    two neighbours that differ least: no step becomes much greater than one that was
    there, and a value that was on the wire stays one that was on the wire.
    """
    if not by:
        return values
    steps = np.abs(np.diff(levels.astype(np.int32), append=1 << 17))
    counts = np.ones(len(values), np.int64)
    counts[np.argsort(steps, kind="stable")[: abs(by)]] += 1 if by > 0 else -1
    return np.repeat(values, counts)
