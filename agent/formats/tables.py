"""Rows of integers, very many, kept small: what is told of each packet of a long call.

Columns stand in batches. Of each only the first value is kept, and the steps from row
to row, in as few octets as the largest needs: most of what a packet says is what the
packet before it said, or as much more as always.
"""

from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

BATCH: Final = 4096
"Rows of a batch, at most."
_WIDTHS: Final = (np.int8, np.int16, np.int32)


Whole = npt.NDArray[np.integer]


class _Packed(NamedTuple):
    """One column of a batch."""

    first: int
    steps: Whole | int
    "From each row to the next; one number if they are all the same."


class Table:
    """Takes rows of so many columns; steps between values must fit 64 bits."""

    def __init__(self) -> None:
        self._batches: list[tuple[_Packed, ...]] = []
        self._starts = [0]

    def __len__(self) -> int:
        """Rows."""
        return self._starts[-1]

    @property
    def batches(self) -> int:
        """How many there are; `rows` takes their numbers."""
        return len(self._batches)

    def extend(self, *columns: npt.NDArray[Any]) -> None:
        """Add rows, by their columns: integers or flags, all equally many."""
        count = len(columns[0])
        for start in range(0, count, BATCH):
            end = min(start + BATCH, count)
            self._batches.append(tuple(_packed(one[start:end]) for one in columns))
            self._starts.append(self._starts[-1] + end - start)

    def rows(self, batch: int) -> list[Integers]:
        """The columns of a batch."""
        start, end = self._starts[batch : batch + 2]
        return [_unpacked(one, end - start) for one in self._batches[batch]]

    def column(self, number: int, dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
        """A whole column, of a type that its values fit."""
        whole = np.empty(len(self), dtype)
        for batch, (start, end) in zip(
            self._batches, pairwise(self._starts), strict=True
        ):
            whole[start:end] = _unpacked(batch[number], end - start)
        return whole


def _packed(values: npt.NDArray[Any]) -> _Packed:
    values = values.astype(np.int64)
    first, steps = int(values[0]), np.diff(values)
    low, high = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    if low == high:
        return _Packed(first, low)
    for width in _WIDTHS:
        if np.iinfo(width).min <= low and high <= np.iinfo(width).max:
            steps = steps.astype(width)
            break
    return _Packed(first, steps)


def _unpacked(packed: _Packed, count: int) -> Integers:
    values = np.empty(count, np.int64)
    values[0] = packed.first
    values[1:] = packed.steps
    return np.cumsum(values, out=values)
