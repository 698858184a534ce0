"""Answered calls that are over and have no outcome: none may be lost in silence.

Logs `call_without_outcome` with the call's id, and `call_outcome_known` in the end.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from agent.common.clock import monotonic
from agent.common.errors import AgentError
from agent.service.missing_outcomes import MissingOutcomes

EVERY: Final = 5.0
"Seconds between two looks."


async def watch_outcomes(
    open_answered: Callable[[], list[str]], runs: Callable[[str], bool]
) -> None:
    """Look for ever; `runs` tells whether a call is up.

    `open_answered` tells the answered calls that have no outcome yet. It blocks, and
    raises AgentError if it cannot.
    """
    log = structlog.get_logger()
    missing = MissingOutcomes()
    while True:
        await asyncio.sleep(EVERY)
        try:
            calls = await asyncio.to_thread(open_answered)
        except AgentError as error:
            log.warning("outcomes_unreadable", reason=str(error))
            continue
        over = [call for call in calls if not runs(call)]
        found = missing.look(over, monotonic())
        for call in found.missing:
            log.error("call_without_outcome", call_id=call)
        for call in found.known:
            log.info("call_outcome_known", call_id=call)
