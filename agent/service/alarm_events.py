"""Alarms told to the broker: of each event of the catalogue, whether it is on.

The broker retains one message per event. Where several storages or peers have the same
alarm, it is on until the last of them is well again.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Final, Protocol

import structlog

from agent.common.clock import monotonic
from agent.common.errors import AgentError
from agent.model.events import AlarmEvent
from agent.recording.outbox import Outbox

QUIET: Final = 60.0
"Seconds in which an alarm that is raised again and again is told once."


class Alarm(Protocol):
    """What the board knows of an alarm; agent.service.alarm_board."""

    @property
    def event(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def since_utc_ns(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def fields(self) -> dict[str, str]: ...


class Board(Protocol):
    """Which alarms are on."""

    def active(self) -> Iterable[Alarm]:
        """The oldest first."""

    def listen(self, callback: Callable[[Alarm, bool], None]) -> Callable[[], None]:
        """Have `callback` hear of each; returns what ends it."""


class AlarmEvents:
    """Writes an event when an alarm begins, goes on for long, or is over."""

    def __init__(
        self,
        outbox: Outbox,
        board: Board,
        spawn: Callable[[Coroutine[object, object, None]], None],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._outbox = outbox
        self._board = board
        self._spawn = spawn
        self._now = now
        self._told: dict[str, tuple[bool, float]] = {}
        "By event: what was told last, and when. As many as the catalogue has."
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Listen; and say of what the process before told to be on that it is over.

        What is still wrong is raised again by whatever found it.
        """
        self._board.listen(self._heard)
        for alarm in self._board.active():
            self._heard(alarm, True)  # noqa: FBT003 - the board's own form
        self._spawn(self._clear_former())

    async def _clear_former(self) -> None:
        try:
            told = await self._outbox.alarms_told()
        except AgentError as error:
            self._log.warning("alarm_not_told", reason=str(error))
            return
        for event in told:
            if event not in self._told:
                await self._tell(AlarmEvent(event=event, active=False))

    def _heard(self, alarm: Alarm, active: bool) -> None:  # noqa: FBT001 - the board's
        on = [one for one in self._board.active() if one.event == alarm.event]
        was, at = self._told.get(alarm.event, (False, float("-inf")))
        if bool(on) == was and (not on or self._now() - at < QUIET):
            return
        self._told[alarm.event] = bool(on), self._now()
        shown = alarm if active or not on else on[-1]
        told = AlarmEvent(
            event=shown.event,
            active=bool(on),
            message_id=shown.message_id,
            summary=shown.summary,
            since_utc_ns=shown.since_utc_ns,
            count=shown.count,
            fields=dict(shown.fields),
        )
        self._spawn(self._tell(told))

    async def _tell(self, event: AlarmEvent) -> None:
        try:
            await self._outbox.tell_alarm(event)
        except AgentError as error:
            # No alarm of its own: it would be told as this one could not be.
            self._log.warning("alarm_not_told", alarm=event.event, reason=str(error))
