"""What of one call is recorded: its segments, one after the other. Sans-IO."""

from collections.abc import Callable

from agent.call.commands import (
    Alarm,
    CloseRecording,
    CountMissing,
    PauseRecording,
    ResumeRecording,
)
from agent.call.pause import NotRecordedError, Pause
from agent.call.state import SegmentsState
from agent.model.call import EndCause, Outcome
from agent.model.recording import RecordState

SegmentCommand = (
    CloseRecording | CountMissing | PauseRecording | ResumeRecording | Alarm
)


class Segments:
    """At most one segment is open; `emit` takes what is to be done about it."""

    def __init__(
        self,
        emit: Callable[[SegmentCommand], None],
        *,
        wanted: bool,
        max_length: float,
        max_pause: float = 0.0,
    ) -> None:
        """`max_length` is in seconds; what is longer goes on in the next segment.

        `max_pause` is in seconds too: how long a pause may be.
        """
        self._emit = emit
        self._max_length = max_length
        self._number = 0
        self._discarded = 0
        "How many of these were not kept."
        self._forbidden = False
        "Whether a failure is why there may be none."
        self._failed = False
        self._kept = False
        self._unrecorded = False
        self._missing = False
        "Whether two talk who would be recorded, if that were possible."
        self.wanted = wanted
        "Whether there may be segments: neither law nor policy nor a failure forbids."
        self.is_open = False
        self.deadline: float | None = None
        "When the open segment is full, in monotonic seconds."
        self.pause = Pause(emit, max_length=max_pause)
        "It outlasts a segment: the next one begins in it."

    @property
    def state(self) -> SegmentsState:
        """All of it, for `restore` in another process."""
        return SegmentsState(
            number=self._number,
            discarded=self._discarded,
            forbidden=self._forbidden,
            failed=self._failed,
            kept=self._kept,
            unrecorded=self._unrecorded,
            missing=self._missing,
            wanted=self.wanted,
            is_open=self.is_open,
            deadline=self.deadline,
            pause=self.pause.state,
        )

    def restore(self, state: SegmentsState) -> None:
        """Go on where another one stood."""
        self._number = state.number
        self._discarded = state.discarded
        self._forbidden = state.forbidden
        self._failed = state.failed
        self._kept = state.kept
        self._unrecorded = state.unrecorded
        self._missing = state.missing
        self.wanted = state.wanted
        self.is_open = state.is_open
        self.deadline = state.deadline
        self.pause.restore(state.pause)

    def open(self, now: float) -> int:
        """Begin a segment, which is for the caller to say; returns its number.

        It begins in the pause that is on, if one is.
        """
        self._number += 1
        self.is_open = True
        self.deadline = now + self._max_length
        return self._number

    def close(self, cause: EndCause, *, discard: bool = False) -> None:
        """End the open segment, if one is: the two do not talk on as they did.

        `discard` says that nothing of it is kept: it should never have begun.
        """
        if self.is_open:
            self.is_open = False
            self.deadline = None
            self._discarded += discard
            self._kept |= not discard and cause is not EndCause.RECORDING_FAILED
            self._emit(CloseRecording(cause=cause, discard=discard))
        if self._missing:
            self._missing = False
            self._emit(CountMissing(on=False))

    def miss(self) -> None:
        """Two talk whose segment would begin now, if it were wanted.

        Where law or order forbids it from the start, nothing is missing.
        """
        if (self._failed or self._unrecorded) and not self._missing:
            self._missing = True
            self._emit(CountMissing(on=True))

    def suspend(
        self, *, by: str, reason: str, seconds: float | None, now: float
    ) -> None:
        """Pause, or pause longer. Raises PauseError."""
        if not self.is_open and self.pause.order is None:
            raise NotRecordedError("Nothing of this call is being recorded now.")
        self.pause.begin(by=by, reason=reason, seconds=seconds, now=now)

    def note_failure(self, *, kept: bool) -> None:
        """Capture broke; `kept` says whether a journal has some of this segment."""
        self._failed = True
        self._kept = self._kept or kept or self._those_kept > 1

    def forbid(self, reason: str) -> None:
        """The call goes on unrecorded by policy: never in silence."""
        self.close(EndCause.RECORDING_FAILED)
        self.wanted = False
        self._forbidden = True
        self.pause.clear()
        self._unrecorded = True
        self._emit(Alarm(reason=reason))

    def renew(self) -> None:
        """Others will talk next: what failed of these may do for them."""
        self.wanted |= self._forbidden
        self._forbidden = False

    def stop(self) -> None:
        """The call goes on unrecorded, by somebody's order. Raises NotRecordedError.

        What there is of it is kept, and is partial: more was said.
        """
        if not self.is_open:
            raise NotRecordedError("Nothing of this call is being recorded now.")
        self.note_failure(kept=True)
        self.close(EndCause.RECORDING_STOPPED)
        self.wanted = False
        self.pause.clear()
        self.miss()

    @property
    def _those_kept(self) -> int:
        """How many there were, the open one among them, less what was discarded."""
        return self._number - self._discarded

    @property
    def recording(self) -> RecordState:
        """Whether it is being recorded now."""
        if not self.is_open:
            return RecordState.OFF
        return RecordState.ON if self.pause.order is None else RecordState.PAUSED

    @property
    def outcome(self) -> Outcome:
        """What became of a call whose parties talked, as far as recording goes."""
        if self._those_kept and not (self._failed and not self._kept):
            whole = not self._failed and not self._unrecorded
            return Outcome.RECORDED if whole else Outcome.PARTIAL
        if self._unrecorded or self._those_kept:
            return Outcome.UNRECORDED
        # A queue answered, and the caller left it before an officer came.
        return Outcome.ABANDONED
