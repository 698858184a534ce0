"""The segments of one call at the recorder, one after the other.

Who is heard in them, and when nothing is kept of it, is for whoever opens them to say.
"""

from collections.abc import Sequence

from agent.call.open_segment import OpenSegment
from agent.call.recorded_time import RecordedTime
from agent.call.recorder import Recorder
from agent.call.state import SeriesState
from agent.common.clock import monotonic_ns, utc_ns
from agent.formats.age import Recipient
from agent.model.call import EndCause
from agent.model.recording import SegmentBegin, SegmentMark


class SegmentSeries:
    """At most one segment is open; times are of CLOCK_MONOTONIC, in nanoseconds."""

    def __init__(self, recorder: Recorder, *, call_id: str) -> None:
        self._recorder = recorder
        self._call_id = call_id
        self._broke = False
        "Of segments that are forgotten, or that an earlier process has sealed."
        self._ended_ns = 0
        "When a segment ended for whatever happens now; 0: none did."
        self._missing = RecordedTime()
        self.recorded = RecordedTime()
        "While something is kept: its end is told here, the rest by who opens segments."
        self.open: OpenSegment | None = None
        self.segments: list[OpenSegment] = []
        "Those that are not forgotten, the oldest first."

    @property
    def state(self) -> SeriesState:
        """All of it, for `restore` in another process."""
        return SeriesState(
            segments=tuple(segment.recording_id for segment in self.segments),
            open=self.open is not None,
            interrupted=self.interrupted,
            recorded=self.recorded.state,
            missing=self._missing.state,
        )

    def restore(self, state: SeriesState) -> None:
        """Go on where another one stood; the recorder has its segments already."""
        self._broke = state.interrupted
        self.recorded = RecordedTime(*state.recorded)
        self._missing = RecordedTime(*state.missing)
        found = [self._recorder.segment(name) for name in state.segments]
        self.segments = [one for one in found if one is not None]
        self.open = found[-1] if state.open else None

    # -- from one to the next --------------------------------------------------

    def next_begins(self, since_ns: int | None = None) -> tuple[int, int]:
        """When a segment that is opened now begins: by wall clock, and by ours.

        That is where the one before has ended just now, or at `since_ns`, just before.
        """
        now_ns = monotonic_ns()
        begun_ns = since_ns or self._ended_ns or now_ns
        return utc_ns() - (now_ns - begun_ns), begun_ns

    def begin(
        self,
        begin: SegmentBegin,
        *,
        legs: tuple[str, ...],
        officers: Sequence[Recipient],
        tapped: Sequence[bool] | bool,
    ) -> None:
        """Open a segment, as `Recorder.open` says; it follows one that ended now."""
        self.open = self._recorder.open(
            self._call_id,
            begin,
            legs=legs,
            officers=officers,
            tapped=tapped,
            since_ns=self._ended_ns,
        )
        self.segments.append(self.open)

    def part(self) -> None:
        """Something else happens now: a segment that begins follows no other."""
        self._ended_ns = 0

    def close(self, cause: EndCause, *, discard: bool = False) -> bool:
        """End the open segment; returns whether one was.

        With `discard` nothing of it is kept, and it is none of the call's.
        """
        if self.open is None:
            return False
        if cause is EndCause.RECORDING_STOPPED:
            # More was said, and of this none is kept.
            self.open.gap = True
        if discard:
            self.segments.remove(self.open)
        self._ended_ns = self._recorder.close(self.open, cause, discard=discard)
        self.recorded.end(self._ended_ns)
        self.open = None
        return True

    def forget_whole(self) -> None:
        """Forget segments whose journals are closed: a session may have thousands."""
        done = [segment for segment in self.segments if segment.closed.done()]
        self._broke = self._broke or any(
            segment.gap or not segment.closed.result() for segment in done
        )
        self.segments = [one for one in self.segments if not one.closed.done()]

    # -- while one is open -----------------------------------------------------

    def mark(self, mark: SegmentMark) -> None:
        """Say in the open segment's journal what has happened."""
        if self.open is not None:
            self._recorder.mark(self.open, mark)

    def mark_codecs(self, codecs: dict[str, dict[str, str]]) -> None:
        """Payload types mean what they mean in `codecs` from now on, by leg's index."""
        self.mark(
            SegmentMark(at_monotonic_ns=monotonic_ns(), kind="codecs", codecs=codecs)
        )

    def mark_changed(self, leg: int, *, codec: bool) -> None:
        """The leg of this index sounds otherwise, and nobody said why."""
        self.mark(
            SegmentMark(
                at_monotonic_ns=monotonic_ns(),
                kind="changed",
                leg=leg,
                reason="codec" if codec else "source",
            )
        )

    def tap(self, legs: Sequence[str], at_ns: int, *, on: bool) -> None:
        """Keep what these legs of the workers say from `at_ns` on, or nothing more."""
        if self.open is not None:
            self._recorder.tap(self.open, legs, at_ns, on=on)

    # -- what there is of them -------------------------------------------------

    def broken(self) -> None:
        """Not all is recorded that should be."""
        self._broke = True

    @property
    def interrupted(self) -> bool:
        """Whether capture of any segment broke, for however short a time."""
        return self._broke or any(segment.gap for segment in self.segments)

    @property
    def lost(self) -> bool:
        """Whether nobody can ever open what is being captured."""
        return self.open is not None and self.open.lost

    @property
    def recorded_seconds(self) -> float:
        """How long the call was recorded up to now, holds and pauses apart."""
        return self.recorded.seconds(monotonic_ns())

    def count_missing(self, *, on: bool) -> None:
        """Begin to count talk that should be recorded and is not, or end it."""
        if on:
            self._missing.begin(monotonic_ns())
        else:
            self._missing.end(monotonic_ns())

    @property
    def missing_ms(self) -> int:
        """How much talk up to now should have been recorded, and was not.

        What a gap in a segment is short of, who finishes it finds. A party that was
        held meanwhile counts too: nobody has noted when.
        """
        return round(self._missing.seconds(monotonic_ns()) * 1000)
