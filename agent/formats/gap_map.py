"""A leg's gaps as its manifest lists them: all, or as many as a reader can use.

A call that loses every seventh packet has 20,000 gaps an hour. Beyond a limit, gaps of
one reason that are nearest to each other are told as one: how many they are, and how
much of it is silent.
"""

from collections.abc import Sequence
from heapq import nlargest
from itertools import pairwise
from typing import Final, NamedTuple

from agent.formats.track import Gap, GapReason

MAX_ENTRIES: Final = 1000
"Of each reason on a leg: at worst an entry every 3.6 s of an hour."


class Entry(NamedTuple):
    """Gaps of one reason from `start` on, in samples."""

    start: int
    samples: int
    "To the end of the last; not all is silent if there are several."
    silent: int
    "The sum of the gaps."
    parts: int
    "How many gaps."
    reason: GapReason


def gap_map(gaps: Sequence[Gap], most: int = MAX_ENTRIES) -> list[Entry]:
    """In order of their starts, no more than `most` entries of each reason.

    `gaps` are in order and do not overlap. Entries of different reasons may overlap
    where gaps were joined.
    """
    entries = []
    for reason in GapReason:
        entries += _joined([gap for gap in gaps if gap.reason is reason], most)
    return sorted(entries)


def _joined(gaps: list[Gap], most: int) -> list[Entry]:
    """Gaps of one reason, cut where the most audio lies between two of them."""
    between = [
        (after.start - before.start - before.samples, -at)
        for at, (before, after) in enumerate(pairwise(gaps))
    ]
    cuts = sorted(1 - at for _, at in nlargest(most - 1, between))
    bounds = [0, *cuts, len(gaps)]
    return [
        Entry(
            gaps[first].start,
            gaps[last - 1].start + gaps[last - 1].samples - gaps[first].start,
            sum(gap.samples for gap in gaps[first:last]),
            last - first,
            gaps[first].reason,
        )
        for first, last in pairwise(bounds)
        if first < last
    ]
