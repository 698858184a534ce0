"""A leg's track: frames of several sources laid beside each other, and the gaps."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class GapReason(StrEnum):
    """Why nothing is to be heard on a leg for a while."""

    LOST = "lost"
    "Packets were sent and never came."
    SILENCE = "silence"
    "Nothing was sent: discontinuous transmission, or no packets at all."
    LATE_START = "late-start"
    "Before the leg's first audio."
    HOLD = "hold"
    PAUSE = "pause"
    "The recording was paused by a command."
    GAP = "gap"
    "The agent itself did not listen."
    ABSENT = "absent"
    "Before the leg joined a recording that was going on."


class Gap(NamedTuple):
    """A stretch of silence, in samples."""

    start: int
    samples: int
    reason: GapReason


class Span(NamedTuple):
    """A stretch whose silence has a known reason."""

    start: int
    end: int
    reason: GapReason


class Track:
    """Frames in order of position, inside [0, total), never overlapping.

    All attributes are parallel arrays, one entry per frame.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.outside = 0
        "Frames of which nothing found a place."
        self.position = np.zeros(0, np.int64)
        self.length = np.zeros(0, np.int64)
        self.packet = np.zeros(0, np.int64)
        "Which packet the frame is from."
        self.trimmed = np.zeros(0, np.int64)
        "Samples cut off the frame's start."
        self.missing = np.zeros(0, np.int64)
        "Packets of its source that never came, up to the frame."
        self.source = np.zeros(0, np.int64)

    def lay(
        self,
        source: int,
        packet: Integers,
        position: Integers,
        length: Integers,
        missing: Integers,
    ) -> None:
        """Lay one source's frames where nothing lies yet.

        `position` strictly increases. A frame gives way to the next of its own
        source, and to whatever an earlier source has placed: a stream that was
        there first stays whole, whoever else sends.
        """
        end = np.minimum(position + length, self.total)
        end[:-1] = np.minimum(end[:-1], position[1:])
        start = np.maximum(position, 0)
        if len(self.position):
            starts = np.append(self.position, self.total)
            ends = np.append(self.position + self.length, self.total)
            at = np.searchsorted(ends[:-1], start, side="right")
            covered = starts[at] <= start
            start = np.where(covered, np.maximum(start, ends[at]), start)
            following = np.minimum(at + covered, len(self.position))
            end = np.minimum(end, starts[following])
        kept = start < end
        self.outside += int(np.count_nonzero(~kept))
        start, end = start[kept], end[kept]
        packet, missing, trimmed = packet[kept], missing[kept], start - position[kept]
        source_of = np.full(len(start), source)
        if not len(self.position):
            self.position, self.length, self.packet = start, end - start, packet
            self.trimmed, self.missing, self.source = trimmed, missing, source_of
            return
        merged = np.concatenate((self.position, start))
        order = np.argsort(merged, kind="stable")
        self.position = merged[order]

        def merge(old: Integers, new: Integers) -> Integers:
            return np.concatenate((old, new))[order]

        self.length = merge(self.length, end - start)
        self.packet = merge(self.packet, packet)
        self.trimmed = merge(self.trimmed, trimmed)
        self.missing = merge(self.missing, missing)
        self.source = merge(self.source, source_of)

    def gaps(self, spans: Sequence[Span]) -> tuple[list[Gap], int]:
        """The silences in order, with their reasons, and the number of lost packets.

        `spans` are in order and apart from each other. Sequence numbers missing
        where a span fills most of the gap are explained by it.
        """
        if not len(self.position):
            return list(_divide(0, self.total, GapReason.SILENCE, spans)), 0
        first = int(self.position[0])
        gaps = list(_divide(0, first, GapReason.LATE_START, spans))
        lost = 0
        ends = self.position + self.length
        holes = np.flatnonzero(self.position[1:] > ends[:-1])
        same = self.source[1:][holes] == self.source[:-1][holes]
        unheard = np.where(same, np.diff(self.missing)[holes], 0)
        for start, end, length, missing in zip(
            ends[:-1][holes].tolist(),
            self.position[1:][holes].tolist(),
            self.length[:-1][holes].tolist(),
            unheard.tolist(),
            strict=True,
        ):
            # Lost is what left a hole: unheard event packets leave none.
            count = min(missing, -((start - end) // length))
            if count and 2 * _overlap(start, end, spans) >= end - start:
                count = 0
            lost += count
            heard_again = start + count * length
            if count and end - heard_again < length:
                # Less than a packet is no silence of its own: drift was made up for.
                heard_again = end
            gaps += _divide(start, heard_again, GapReason.LOST, spans)
            gaps += _divide(heard_again, end, GapReason.SILENCE, spans)
        gaps += _divide(int(ends[-1]), self.total, GapReason.SILENCE, spans)
        return gaps, lost


def _touching(start: int, end: int, spans: Sequence[Span]) -> Iterator[Span]:
    """The spans that overlap [start, end), cut to it."""
    at = bisect_right(spans, start, key=attrgetter("end"))
    while at < len(spans) and spans[at].start < end:
        span = spans[at]
        yield Span(max(start, span.start), min(end, span.end), span.reason)
        at += 1


def _overlap(start: int, end: int, spans: Sequence[Span]) -> int:
    return sum(span.end - span.start for span in _touching(start, end, spans))


def _divide(
    start: int, end: int, reason: GapReason, spans: Sequence[Span]
) -> Iterator[Gap]:
    """The parts of one silence: inside the spans for theirs, else for its reason."""
    if start >= end:
        return
    for span in _touching(start, end, spans):
        if start < span.start:
            yield Gap(start, span.start - start, reason)
        yield Gap(span.start, span.end - span.start, span.reason)
        start = span.end
    if start < end:
        yield Gap(start, end - start, reason)
