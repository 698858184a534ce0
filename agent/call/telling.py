"""What happens in a call, told to the ledger and in events, behind the call's back.

Nothing here holds up a call, and nothing that goes wrong here is its business.
"""

from collections.abc import Callable, Coroutine
from typing import Protocol

import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.model.events import (
    CallEvent,
    NoticePlayed,
    RecordingPaused,
    RecordingResumed,
    RecordingStopped,
)
from agent.model.recording import NoticeEvidence


class Spawn(Protocol):
    """Runs a coroutine in the background, under a name that ends in a call's id."""

    def __call__(
        self, coroutine: Coroutine[object, object, None], *, name: str
    ) -> None: ...


class Told(Protocol):
    """Who is told: the ledger."""

    async def answered(
        self, call_id: str, at_utc_ns: int, *, officer: str = ""
    ) -> None:
        """An officer talks with somebody. Raises AgentError."""

    async def tell(self, event: CallEvent) -> None:
        """Something happened that is worth an event. Raises AgentError."""


class Telling:
    """Tells of all calls, in the order in which it is called."""

    def __init__(
        self,
        ledger: Told,
        spawn: Spawn,
        *,
        show: Callable[[str], str] = lambda _: "",
        remember: Callable[[str, str, str], None] = lambda *_: None,
    ) -> None:
        """`show` gives as much of a number as may be written into an event.

        `remember` is given a call, the name of an event's field and the whole number.
        """
        self._ledger = ledger
        self._spawn = spawn
        self._show = show
        self._remember = remember
        self._log = structlog.get_logger()

    def number(self, call_id: str, field: str, number: str) -> str:
        """As much of a number as may be written into an event's `field`."""
        self._remember(call_id, field, number)
        return self._show(number)

    def answered(self, call_id: str, officer: str) -> None:
        """An officer with this number talks with somebody; again: it is known."""
        shown = self.number(call_id, "officer", officer)
        self._do(
            call_id, "answered", self._ledger.answered(call_id, utc_ns(), officer=shown)
        )

    def notice_played(self, call_id: str, evidence: NoticeEvidence) -> None:
        """A notice was sent to its end."""
        played = NoticePlayed(
            call_id=call_id,
            language=evidence.language,
            sha256=evidence.sha256,
            sent_ms=evidence.sent_ms,
        )
        self._do(call_id, "noticed", self._ledger.tell(played))

    def paused(self, call_id: str, *, by: str, reason: str, seconds: float) -> None:
        """Nothing is recorded for a while."""
        paused = RecordingPaused(call_id=call_id, by=by, reason=reason, seconds=seconds)
        self._do(call_id, "paused", self._ledger.tell(paused))

    def resumed(self, call_id: str, *, by: str, reason: str) -> None:
        """It is recorded again."""
        resumed = RecordingResumed(call_id=call_id, by=by, reason=reason)
        self._do(call_id, "resumed", self._ledger.tell(resumed))

    def stopped(self, call_id: str, *, by: str, reason: str) -> None:
        """Nothing more is recorded."""
        stopped = RecordingStopped(call_id=call_id, by=by, reason=reason)
        self._do(call_id, "stopped", self._ledger.tell(stopped))

    def _do(
        self, call_id: str, what: str, change: Coroutine[object, object, None]
    ) -> None:
        async def change_or_say() -> None:
            try:
                await change
            except AgentError as error:
                self._log.critical(
                    "ledger_unwritable", call_id=call_id, reason=str(error)
                )

        self._spawn(change_or_say(), name=f"{what}-{call_id}")
