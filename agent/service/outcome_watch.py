"""Answered calls that are over and have no outcome: none may be lost in silence.

Logs `call_without_outcome` with the call's id, and `call_outcome_known` in the end.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from agent.common.clock import monotonic
from agent.common.errors import AgentError
from agent.service.missing_outcomes import MissingOutcomes

EVERY: Final = 5.0
"Seconds between two looks."


class OpenCalls(Protocol):
    """Who knows which calls have no outcome yet: the ledger."""

    async def open_answered(self, *, tests: Iterable[str] = ()) -> list[str]:
        """Those that were answered, but for those of the routes `tests`."""


async def watch_outcomes(
    ledger: OpenCalls, runs: Callable[[str], bool], tests: Callable[[], Iterable[str]]
) -> None:
    """Look for ever; `runs` tells whether a call is up.

    Calls of the routes that `tests` tells are nobody's.
    """
    log = structlog.get_logger()
    missing = MissingOutcomes()
    while True:
        await asyncio.sleep(EVERY)
        try:
            calls = await ledger.open_answered(tests=tests())
        except AgentError as error:
            log.warning("outcomes_unreadable", reason=str(error))
            continue
        over = [call for call in calls if not runs(call)]
        found = missing.look(over, monotonic())
        for call in found.missing:
            log.error("call_without_outcome", call_id=call)
        for call in found.known:
            log.info("call_outcome_known", call_id=call)
