"""What somebody outside asks of running calls: their state, a pause, its end."""

from collections.abc import Callable, Mapping
from typing import Final

from agent.call.joint import CallStatus, RunningCall
from agent.call.pause import NotRecordedError
from agent.call.recording_orders import RecordingOrders
from agent.common.errors import AgentError

MIN_PREFIX: Final = 8
"Characters of a call's id that stand for all of it, where only one begins so."
COMMAND: Final = "command"
"Why a recording went on that somebody resumed."


class UnknownCallError(AgentError):
    """There is no such call now, or more than one."""

    hint = "`recording-agent status` lists the calls that are up."


class Orders:
    """Carries orders out on the calls in `calls`, each under `guard`."""

    def __init__(
        self,
        calls: Mapping[str, RunningCall],
        guard: Callable[[RunningCall, Callable[[], None]], None],
    ) -> None:
        self._calls = calls
        self._guard = guard

    def pause(
        self, call_id: str, *, by: str, reason: str = "", seconds: float | None = None
    ) -> CallStatus:
        """Record nothing of a call for `seconds`, or as long as its route allows.

        `by` and `reason` stand in the log and in the recording: words, no names.
        Raises UnknownCallError, PauseError.
        """
        return self._order(
            call_id, lambda one: one.pause(by=by, reason=reason, seconds=seconds)
        )

    def resume(self, call_id: str, *, by: str, reason: str = COMMAND) -> CallStatus:
        """Record a call again. Raises UnknownCallError, PauseError."""
        return self._order(call_id, lambda one: one.resume(by=by, reason=reason))

    def stop_recording(self, call_id: str, *, by: str, reason: str = "") -> CallStatus:
        """Record nothing more of a call, which goes on.

        Raises UnknownCallError, NotRecordedError.
        """
        return self._order(call_id, lambda one: one.stop(by=by, reason=reason))

    def status(self) -> list[CallStatus]:
        """All calls that are up, the oldest first."""
        return [call.status for call in self._calls.values()]

    def _order(
        self, call_id: str, act: Callable[[RecordingOrders], None]
    ) -> CallStatus:
        call = self._find(call_id)
        if (recording := call.recording) is None:
            raise NotRecordedError("This call passes us by: nothing of it is recorded.")
        refusals: list[AgentError] = []

        def attempt() -> None:
            try:
                act(recording)
            except AgentError as error:
                refusals.append(error)

        self._guard(call, attempt)
        if refusals:
            raise refusals[0]
        return call.status

    def _find(self, call_id: str) -> RunningCall:
        if (call := self._calls.get(call_id)) is not None:
            return call
        found = [call for name, call in self._calls.items() if name.startswith(call_id)]
        if len(call_id) < MIN_PREFIX or len(found) != 1:
            raise UnknownCallError("No call that is up has this id.")
        return found[0]
