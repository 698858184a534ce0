"""The sweep: it finds the days whose time is over, marks them, waits, and erases them.

It never sleeps: each run does what is due, and says when there will be more. What there
is to do is derived from storage; killed at any step, the next run goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.retention.clock_check import SKEW, ClockError, check_clock
from agent.retention.day_erasure import erase_day, forget
from agent.retention.marks import Mark, MarkError
from agent.retention.plan import MARK_AHEAD_NS, DayPlan, Step, plan_day
from agent.retention.policy import Policy
from agent.retention.report import Left, SweepReport
from agent.retention.site import Place, Site, each
from agent.retention.survey import due_days, recordings_of
from agent.upload.backend import StorageError

WAIT: Final = 3600.0
"Seconds between mark and erasure."
_SECOND_NS: Final = 1_000_000_000


class Sweep:
    """Erases what is a year old, in every place of a site."""

    def __init__(
        self, site: Site, policy: Policy, *, wait: float = WAIT, skew: float = SKEW
    ) -> None:
        """`wait` and `skew` are seconds."""
        self._site = site
        self._policy = policy
        self._wait_ns = int(wait * _SECOND_NS)
        self._skew = skew
        self._running = asyncio.Lock()
        self._log = structlog.get_logger()

    async def plan(self, now_ns: int) -> AsyncIterator[DayPlan]:
        """What a run would do now, day by day; it changes nothing.

        Raises StorageError if a place does not answer.
        """
        marks = await self._marks()
        days = set(marks) | self._days_of_keys(now_ns)
        for place in self._site.places:
            days |= await self._days_of(place, now_ns)
        for day in sorted(days):
            yield await self._plan(self._site, day, marks.get(day), now_ns)

    async def run(self, now_ns: int) -> SweepReport:
        """Do what is due, the oldest day first.

        What fails of one day is reported and stops no other, and so is a place that
        does not answer. Raises StorageError if the first one does not; ClockError.
        """
        report = SweepReport()
        async with self._running:
            marks = await self._marks()
            days = set(marks) | self._days_of_keys(now_ns)
            away: dict[str, str] = {}
            for place in self._site.places:
                try:
                    days |= await self._days_of(place, now_ns)
                except (StorageError, OSError) as error:
                    away[place.name] = str(error)
            site = self._site.without(away)
            for day in sorted(days):
                left = [Left(day, name, reason) for name, reason in away.items()]
                try:
                    await self._do(
                        site, day, marks.get(day), now_ns, report=report, away=left
                    )
                except ClockError:
                    raise
                except (AgentError, OSError) as error:
                    name = self._site.places[0].name
                    report.left.append(Left(day, name, str(error)))
        self._tell(report)
        return report

    # -- looking --------------------------------------------------------------------

    async def _marks(self) -> dict[date, Mark]:
        """Those of days that are to be believed. Raises MarkError, StorageError."""
        found: dict[date, Mark] = {}
        for key in await self._site.marks.names(early=False):
            try:
                mark = await self._site.marks.read(key)
            except MarkError as error:
                # Its day gets another, if its time is over.
                self._log.critical("mark_refused", object=key, reason=str(error))
            else:
                found[mark.date] = mark
        return found

    async def _days_of(self, place: Place, now_ns: int) -> set[date]:
        return await due_days(place, lambda day: self._is_near(day, now_ns))

    def _days_of_keys(self, now_ns: int) -> set[date]:
        """Of a day without a recording, too, the key goes; or comes back, and goes."""
        days = () if self._site.keyring is None else self._site.keyring.days()
        return {day for day in days if self._is_near(day, now_ns)}

    def _is_near(self, day: date, now_ns: int) -> bool:
        return self._policy.due(day, now_ns + MARK_AHEAD_NS)

    async def _plan(
        self, site: Site, day: date, mark: Mark | None, now_ns: int
    ) -> DayPlan:
        found = await recordings_of(site.places, day)
        words: dict[str, tuple[str, ...]] = dict.fromkeys(found.ids, ())
        states = site.states

        async def read(recording_id: str) -> None:
            state = await states.read(recording_id)
            words[recording_id] = () if state.erasing else state.stops_clock

        stated = [one async for one, _ in states.ids() if one in words]
        await each(stated, read)
        generations = site.generations(day)
        return plan_day(
            day, words, self._policy, now_ns, wait_ns=self._wait_ns, mark=mark,
            generations=generations, strange=found.strange,
            # What is left of a swept day was kept then, and that has a document.
            swept=not generations and found.ids <= {*stated},
        )  # fmt: skip

    # -- acting ---------------------------------------------------------------------

    async def _do(
        self,
        site: Site,
        day: date,
        mark: Mark | None,
        now_ns: int,
        *,
        report: SweepReport,
        away: Sequence[Left],
    ) -> None:
        plan = await self._plan(site, day, mark, now_ns)
        report.kept += len(plan.kept)
        report.strange += plan.strange
        if plan.late:
            report.late.append(day)
        if plan.step is Step.KEEP or (plan.step is Step.FORGET and now_ns < plan.at_ns):
            return
        if plan.step is Step.MARK or mark is None:
            mark = await self._mark(site, plan, now_ns)
            report.marked.append(day)
        await check_clock(site.marks, mark, now_ns, self._skew)
        if plan.step is Step.FORGET:
            await forget(site, mark)
            return
        at_ns = max(plan.at_ns, mark.marked_ns + self._wait_ns)
        if now_ns < at_ns:
            report.next_ns = min(at_ns, report.next_ns or at_ns)
            return
        ids = {*mark.ids, *plan.erase, *plan.kept}
        erased, left = await erase_day(site, mark, ids, now_ns, away=away)
        report.erased += erased
        report.left += left
        if not left:
            report.complete.append(day)

    async def _mark(self, site: Site, plan: DayPlan, now_ns: int) -> Mark:
        if plan.mark is not None:
            mark = plan.mark.renewed(plan.erase, now_ns)
            await site.marks.replace(mark)
        else:
            mark = Mark.of(plan.day, plan.erase, now_ns, self._policy.id)
            mark = await site.marks.add(mark)
        return mark

    def _tell(self, report: SweepReport) -> None:
        if report.late:
            first = min(report.late).isoformat()
            self._log.error("sweep_late", days=len(report.late), day=first)
        for one in report.left:
            self._log.error("sweep_incomplete", **one.to_words())
        if report.strange:
            self._log.warning("sweep_strange_objects", count=report.strange)
        for day in report.complete:
            self._log.info("sweep_complete", day=day.isoformat())
