"""The pause of a call's recording, which ends by itself: sans-IO."""

from collections.abc import Callable
from typing import Final

from agent.call.commands import PauseRecording, ResumeRecording
from agent.call.state import PauseState
from agent.common.errors import AgentError

LIMIT: Final = "limit"
"Why a recording went on that nobody resumed."
AGENT: Final = "agent"
"Who has it go on then."


class PauseError(AgentError):
    """A recording cannot be paused, or resumed, as somebody wished."""


class PausesForbiddenError(PauseError):
    """The call's route allows no pauses."""

    hint = "Set max_pause of the route to as many seconds as a pause may last."


class NotRecordedError(PauseError):
    """Nothing of the call is being recorded now."""

    permanent = False
    hint = "Pause a call while its parties talk and are recorded; `status` tells."


class NotPausedError(PauseError):
    """The recording is not paused: it may have gone on by itself."""


class Pause:
    """Whether a call's recording is paused: of all its segments, one after the other.

    `emit` takes what is to be done about it.
    """

    def __init__(
        self,
        emit: Callable[[PauseRecording | ResumeRecording], None],
        *,
        max_length: float,
    ) -> None:
        """`max_length` is in seconds, from the first wish for it; 0: never."""
        self._emit = emit
        self._max_length = max_length
        self.since = 0.0
        "When the pause that is on began, in monotonic seconds."
        self.deadline: float | None = None
        "When the recording goes on, in monotonic seconds; None unless it is paused."
        self.order: PauseRecording | None = None
        "Who has it paused, and why."

    @property
    def state(self) -> PauseState:
        """All of it, for `restore` in another process."""
        return PauseState(since=self.since, deadline=self.deadline, order=self.order)

    @property
    def span(self) -> tuple[float, float] | None:
        """When it began and will be over by itself; None if none is on."""
        return None if self.deadline is None else (self.since, self.deadline)

    def restore(self, state: PauseState) -> None:
        """Go on where another one stood."""
        self.since = state.since
        self.deadline = state.deadline
        self.order = state.order

    def begin(self, *, by: str, reason: str, seconds: float | None, now: float) -> None:
        """Pause for `seconds`, or as long as may be; again: longer, to the same limit.

        Raises PausesForbiddenError.
        """
        if self._max_length <= 0:
            raise PausesForbiddenError("The route of this call allows no pauses.")
        if self.deadline is None:
            self.since = now
        limit = self.since + self._max_length
        until = limit if seconds is None else min(now + seconds, limit)
        self.deadline = max(until, self.deadline or until)
        order = PauseRecording(by=by, reason=reason, seconds=self.deadline - now)
        self.order = self.order or order
        self._emit(order)

    def end(self, *, by: str, reason: str) -> None:
        """Let the recording go on. Raises NotPausedError."""
        if self.deadline is None:
            raise NotPausedError("The recording of this call is not paused.")
        self.clear()
        self._emit(ResumeRecording(by=by, reason=reason))

    def clear(self) -> None:
        """There is nothing more to be recorded."""
        self.deadline = self.order = None

    def handle_timer(self, now: float) -> None:
        """Let the recording go on if it was paused for long enough."""
        if self.deadline is not None and now >= self.deadline:
            self.end(by=AGENT, reason=LIMIT)
