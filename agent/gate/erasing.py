"""`erase` and `sweep`: what two persons have approved, and what is a year old.

The gate alone may delete. What is asked for is done in pieces: an answer `pending` says
that there is more, and to ask again goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from agent.access.requests import Request, RequestedAct
from agent.access.roles import ACTS, Reason
from agent.archive.record_state import RecordState
from agent.formats.audit import Act
from agent.formats.roster import Person
from agent.gate.admission import Admission, Record
from agent.gate.approvals import Approvals
from agent.gate.bodies import Executed, SweepOutcome
from agent.gate.parts import Parts
from agent.gate.publishing import publish
from agent.gate.refusals import ConflictError
from agent.retention.erasure import Erasure, Outcome
from agent.retention.policy import Policy
from agent.retention.sweep import Sweep

AT_ONCE: Final = 100
"Recordings whose erasure begins together."
PATIENCE: Final = 30.0
"Seconds after which an answer says `pending`, rather than to be late."
MAX_PLANNED: Final = 400
"Days in the report of a dry run."


class Erasing:
    """Carries out; never decides."""

    def __init__(
        self,
        parts: Parts,
        admission: Admission,
        approvals: Approvals,
        *,
        sweep: Sweep,
        erasure: Erasure,
        policy: Policy,
    ) -> None:
        self._parts = parts
        self._admission = admission
        self._approvals = approvals
        self._sweep = sweep
        self._erasure = erasure
        self._policy = policy

    async def execute(self, person: Person, request_id: str) -> Executed:
        """Carry out a request, or go on with it. Raises RefusalError.

        One to re-wrap is closed by this: envelopes are replaced one by one before.
        """
        request = await self._open(person, request_id)
        if request.act is RequestedAct.REWRAP:
            await self._approvals.finish(request)
            return Executed(id=request.id, result="done", records=0)
        until: list[date] = []
        held: set[str] = set()
        begun = count = 0
        unfinished = False
        start = self._parts.monotonic()
        async for batch in self._batches(request, start + PATIENCE):
            outcome = await self._begin(batch, request)
            begun += len(batch)
            count += len(outcome.erased)
            until += outcome.pending.values()
            held |= outcome.held.keys()
            unfinished |= bool(outcome.left)
            if self._parts.monotonic() > start + PATIENCE:
                unfinished = True
                break
        if begun and len(held) == begun:
            # Something keeps all of them: it has to be lifted first.
            raise ConflictError("held")
        if not begun:
            # All of it began before; what was left is gone on with.
            outcome = await self._go_on()
            count += sum(request_names(request, one) for one in outcome.erased)
            unfinished |= not all(one.locked for one in outcome.left)
            until += [
                day for one, day in outcome.pending.items()
                if request_names(request, one)
            ]  # fmt: skip
        unfinished |= bool(held) or bool(until)
        if not unfinished:
            await self._approvals.finish(request)
        return Executed(
            id=request.id,
            result="pending" if unfinished else "done",
            pending_until=max(until, default=None),
            records=count,
        )

    async def sweep(self, person: Person, *, dry_run: bool) -> SweepOutcome:
        """Erase what is a year old, or tell what would be. Raises RefusalError."""
        await self._admission.act(person, Act.SWEEP)
        parts = self._parts
        await parts.log.append(
            person.id, Act.SWEEP, detail={"dry-run": "yes" if dry_run else "no"}
        )
        if dry_run:
            days: list[dict[str, object]] = []
            async for plan in self._sweep.plan(parts.clock()):
                if len(days) < MAX_PLANNED:
                    days.append(plan.to_words(self._policy))
            return SweepOutcome(dry_run=True, report={"days": days})
        async with parts.keys_lock:
            report = await self._sweep.run(parts.clock())
        return SweepOutcome(dry_run=False, report=report.to_words())

    async def _open(self, person: Person, request_id: str) -> Request:
        """The request, for whoever may have its like carried out."""
        if not any(ACTS[role] & {Act.ERASE, Act.REWRAP} for role in person.roles):
            # Who may do neither learns nothing of requests.
            await self._admission.deny(person, Act.ERASE, Reason.ROLE)
        request = await self._approvals.open(request_id)
        act = Act.REWRAP if request.act is RequestedAct.REWRAP else Act.ERASE
        await self._admission.act(person, act)
        await self._parts.log.append(
            person.id,
            act,
            result="execute",
            reference=request.reference,
            detail={"request": request.id},
        )
        return request

    async def _go_on(self) -> Outcome:
        async with self._parts.keys_lock:
            outcome = await self._erasure.run(self._parts.clock())
            if outcome.publish:
                await publish(self._parts)
        return outcome

    async def _begin(
        self, batch: Mapping[str, Sequence[date]], request: Request
    ) -> Outcome:
        async with self._parts.keys_lock:
            outcome = await self._erasure.begin(
                batch, request.reason, self._parts.clock(),
                reference=request.reference, request=request.id,
            )  # fmt: skip
            if outcome.publish:
                # Before the answer: hosts are to use the new key from now on.
                await publish(self._parts)
        return outcome

    async def _batches(
        self, request: Request, until: float
    ) -> AsyncIterator[dict[str, list[date]]]:
        """What is to begin together: less of it where to look for it takes long."""
        batch: dict[str, list[date]] = {}
        async for recording_id, days in self._meant(request):
            batch.setdefault(recording_id, []).extend(days)
            if len(batch) == AT_ONCE or self._parts.monotonic() > until:
                yield batch
                batch = {}
        if batch:
            yield batch

    async def _meant(self, request: Request) -> AsyncIterator[tuple[str, list[date]]]:
        """The request's recordings that are still there, by the days they are under.

        Whoever may put objects could else save one, by another of its id under a day
        that is looked at before.
        """
        archive = self._parts.archive
        if request.rule is None:
            listed = await archive.list_days_of(request.recordings)
            async for recording_id, marked in self._not_begun(request):
                found = (
                    await archive.locate_all(recording_id)
                    if listed is None
                    else listed[recording_id]
                )
                if found or marked:
                    yield recording_id, sorted({*found, *marked}, reverse=True)
            return
        day = date.fromisoformat(request.rule.first)
        last = min(date.fromisoformat(request.rule.last), self._parts.today())
        while day <= last:
            for recording_id in await archive.recordings(day):
                record = Record(recording_id, day, RecordState(id=recording_id))
                if await self._approvals.covers(request, record):
                    yield recording_id, [day]
            day += timedelta(1)

    async def _not_begun(
        self, request: Request
    ) -> AsyncIterator[tuple[str, list[date]]]:
        """Its ids but for those that go: to look for what is gone takes longest.

        What began by another's signatures, which may count no more, goes on by these:
        of that the days it is marked under, though its envelopes may be gone.
        """
        for start in range(0, len(request.recordings), AT_ONCE):
            some = request.recordings[start : start + AT_ONCE]
            begun = await asyncio.gather(*map(self._has_begun, some))
            for recording_id, done in zip(some, begun, strict=True):
                marks = await self._erasure.open_marks(recording_id) if done else []
                others = [mark for mark in marks if mark.request != request.id]
                if not done or others:
                    yield recording_id, [mark.date for mark in others]

    async def _has_begun(self, recording_id: str) -> bool:
        if await self._parts.erased.was_erased(recording_id):
            return True
        return bool((await self._parts.states.read(recording_id)).erasing)


def request_names(request: Request, recording_id: str) -> bool:
    """Whether it may be one of the request's; of a rule's, nobody can tell any more."""
    return request.rule is not None or recording_id in request.recordings
