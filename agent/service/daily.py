"""What became of a day's calls, told once when the day is over.

The last day that was told stands in the spool: days that ended while the daemon did not
run are told when it runs again, as long as the ledger knows them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.layout import day_of
from agent.model.events import DailySummary
from agent.recording.tally import Tally, read_tally, span_of

TOLD: Final = "daily-summary"
"The spool's file with the last day that was told."
MAX_DAYS: Final = 34
"Days that are told after a long absence: older calls the ledger has forgotten."
EVERY: Final = 30.0
"Seconds between two looks at the calendar; a clock may be set."


def days_due(told: date | None, today: date) -> list[date]:
    """The days that are over and were not told, the oldest first.

    Where none was ever told, the first is today: it is due tomorrow.
    """
    if told is None:
        return []
    first = max(told + timedelta(days=1), today - timedelta(days=MAX_DAYS))
    return [first + timedelta(days=n) for n in range((today - first).days)]


class Daily:
    """Tells in the log, and to `on_summary`, which makes it an event."""

    def __init__(
        self,
        spool: Path,
        on_summary: Callable[[DailySummary], Awaitable[None]],
        *,
        utc_ns: Callable[[], int],
        tests: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Calls of the routes `tests` tells are nobody's."""
        self._ledger = spool / "ledger.sqlite"
        self._told = spool / TOLD
        self._on_summary = on_summary
        self._utc_ns = utc_ns
        self._tests = tests
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Tell each day when it is over, for ever."""
        while True:
            try:
                await self.tell_due()
            except (AgentError, OSError) as error:
                # Tried again: the day stays due.
                self._log.warning("daily_summary_put_off", reason=str(error))
            await asyncio.sleep(EVERY)

    async def tell_due(self) -> None:
        """Tell every day that is due.

        Raises AgentError or OSError; what was not told stays due.
        """
        today = day_of(self._utc_ns())
        told = await asyncio.to_thread(self._read)
        if told is None or told > today:
            # The first start; or the clock was years ahead, and nothing would be told.
            yesterday = today - timedelta(days=1)
            await asyncio.to_thread(self._write, yesterday)
        for day in days_due(told, today):
            tally = await asyncio.to_thread(
                read_tally, self._ledger, *span_of(day), tests=self._tests()
            )
            await self._tell(day, tally)
            await asyncio.to_thread(self._write, day)

    async def _tell(self, day: date, tally: Tally) -> None:
        rate = tally.capture_rate
        await self._on_summary(
            DailySummary(
                day=day.isoformat(),
                outcomes=tally.outcomes,
                answered=tally.answered,
                exempt=tally.exempt,
                capture_rate=rate,
                missing_ms=tally.missing_ms,
                without_outcome=tally.running,
                stored=tally.stored,
                waiting=tally.waiting,
            )
        )
        self._log.info(
            "daily_summary",
            day=day.isoformat(),
            begun=tally.begun,
            outcomes=[f"{outcome}:{n}" for outcome, n in tally.outcomes.items()],
            answered=tally.answered,
            capture_rate=None if rate is None else round(rate, 6),
            missing_ms=tally.missing_ms,
            without_outcome=tally.running,
            stored=tally.stored,
            to_store=tally.waiting,
        )

    def _read(self) -> date | None:
        try:
            return date.fromisoformat(self._told.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _write(self, day: date) -> None:
        write_durably(self._told, day.isoformat().encode())
