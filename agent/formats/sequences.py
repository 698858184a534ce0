"""One RTP source's sequence numbers: which packets are believed, and in what order."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.formats.rtp.packet import MAX_DROPOUT, MAX_MISORDER

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Ordered(NamedTuple):
    """A source's packets in the order of their sequence numbers."""

    order: Integers
    "Index of each, in the array given; those of no place are left out."
    run: Integers
    "The run of numbers it is part of: counted up where the source began anew."
    missing: Integers
    "Numbers before it, from the source's first, that never came."
    believed: Flags
    "Parallel to the array given: false where one number alone is far from all others."
    duplicates: int
    reordered: int


def in_order(sequence: Integers) -> Ordered:
    """Sort 16-bit sequence numbers, given in order of arrival."""
    extended = unwrap(sequence, 16)
    run, believed = _runs(extended)
    order = np.flatnonzero(believed)
    # lexsort is stable: of duplicates the first to arrive comes first.
    order = order[np.lexsort((extended[order], run[order]))]
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(extended[order]) != 0) | (np.diff(run[order]) != 0)
    duplicates = len(order) - int(np.count_nonzero(first))
    order = order[first]
    steps = np.diff(extended[order], prepend=extended[order[:1]] - 1)
    return Ordered(
        order=order,
        run=run[order],
        missing=np.cumsum(np.where(steps > 0, steps - 1, 0)),
        believed=believed,
        duplicates=duplicates,
        reordered=_count_reordered(extended, run, order),
    )


def is_valid(sequence: Integers) -> bool:
    """Whether a source ever sent two packets in order, RFC 3550 appendix A.1."""
    return bool(np.any((sequence[1:] - sequence[:-1]) % (1 << 16) == 1))


def unwrap(values: Integers, bits: int) -> Integers:
    """Extend a wrapping counter: a step under half the range is believed.

    A single wild value leads away and back again, so it moves no other.
    """
    half = 1 << bits - 1
    steps = (np.diff(values) + half) % (1 << bits) - half
    extended = np.zeros(len(values), np.int64)
    np.cumsum(steps, out=extended[1:])
    return extended + values[:1]


def _runs(extended: Integers) -> tuple[Integers, Flags]:
    """Number the stretches of sequence numbers that belong together.

    RFC 3550 appendix A.1: a jump of MAX_DROPOUT forward or MAX_MISORDER back is
    believed when a second packet follows it; a backward one begins a new run.
    """
    run = np.zeros(len(extended), np.int64)
    believed = np.ones(len(extended), np.bool_)
    steps = np.diff(extended)
    jumps = np.flatnonzero((steps >= MAX_DROPOUT) | (steps <= -MAX_MISORDER)) + 1
    if not len(jumps):
        return run, believed
    bounds = [0, *jumps.tolist(), len(extended)]
    current = 0
    top: int | None = None
    for start, end in pairwise(bounds):
        highest = int(extended[start:end].max())
        step = int(extended[start]) - top if top is not None else MAX_DROPOUT
        if -MAX_MISORDER < step < MAX_DROPOUT:
            highest = max(highest, top or highest)
        elif end - start < 2:
            believed[start:end] = False
            continue
        elif step < 0:
            current += 1
        run[start:end] = current
        top = highest
    return run, believed


def _count_reordered(extended: Integers, run: Integers, kept: Integers) -> int:
    """How many packets came after one that follows them."""
    arrived = np.sort(kept)
    # The highest before each packet, begun anew with each run.
    values = extended[arrived] + run[arrived] * (1 << 40)
    return int(np.count_nonzero(values < np.maximum.accumulate(values)))
