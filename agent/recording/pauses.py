"""What a segment's marks tell of its pauses: when, who, and why."""

from bisect import bisect_left
from itertools import islice
from typing import Final

from agent.formats.manifest import Pause
from agent.model.recording import SegmentMark

MAX_PAUSES: Final = 1000
"""Listed of a segment; of those that follow the gap map alone tells.

A recording client may pause as often as it likes, and a manifest holds only so much.
"""
_MILLISECOND = 1_000_000
_NOBODY = SegmentMark(at_monotonic_ns=0, kind="pause-end", reason="segment-end")


class Pauses:
    """Takes marks in the order of the journals, where some stand twice."""

    def __init__(self) -> None:
        self._begins: dict[int, SegmentMark] = {}
        "By their moment: a worker's successor repeats what may have been lost."
        self._ends: dict[int, SegmentMark] = {}

    def mark(self, mark: SegmentMark) -> None:
        """Take a mark; those of other kinds, or of one leg alone, are none of ours."""
        if mark.leg is not None:
            return
        if mark.kind == "pause-begin":
            self._begins.setdefault(mark.at_monotonic_ns, mark)
        elif mark.kind == "pause-end":
            self._ends.setdefault(mark.at_monotonic_ns, mark)

    def between(self, start_ns: int, end_ns: int) -> tuple[Pause, ...]:
        """The pauses of a segment that lasted from `start_ns` to `end_ns`, in order.

        One that nobody ended lasts to the segment's end, or to the next one's
        beginning: then its end was lost.
        """
        begins, ends = sorted(self._begins), sorted(self._ends)
        found = []
        pairs = zip(begins, [*begins, end_ns][1:], strict=True)
        for begin_ns, next_ns in islice(pairs, MAX_PAUSES):
            mark = self._begins[begin_ns]
            first = bisect_left(ends, begin_ns)
            over_ns = min([next_ns, *ends[first : first + 1]])
            end = self._ends.get(over_ns, _NOBODY)
            begun_ms = max(begin_ns - start_ns, 0) // _MILLISECOND
            over_ms = max(min(over_ns, end_ns) - start_ns, 0) // _MILLISECOND
            pause = Pause(
                start_ms=begun_ms,
                duration_ms=max(over_ms - begun_ms, 0),
                by=mark.by,
                reason=mark.reason,
                ended_by=end.by,
                ended_because=end.reason,
            )
            found.append(pause)
        return tuple(found)
