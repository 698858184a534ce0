"""Records that go early: asked for by two persons, whom the gate has verified.

The day's key gets a new generation, under which the day's other envelopes are moved;
then the generations before are destroyed, and with them every copy of an envelope that
was to go. Not before `late_uploads` days have passed since the day, nor while a list of
day keys from before the new one counts: until then hosts may bring recordings of it
under an older key, which are moved as they come.

Before a key goes the request is verified again, signatures and all: a mark says by
which one a record goes, and asks for nothing by itself.

Without a gate the envelopes are deleted, and that is all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.formats.audit import Act
from agent.formats.layout import day_of
from agent.retention.claims import HeldError, claim
from agent.retention.clock_check import SKEW, check_clock
from agent.retention.config import LATE_UPLOADS
from agent.retention.ending import Ending
from agent.retention.keys import destroy_day, destroy_holds, method_of
from agent.retention.marks import EARLY, Mark, MarkError
from agent.retention.other_envelopes import OtherEnvelopes
from agent.retention.plan import FORGET_AFTER_NS
from agent.retention.policy import DAY_NS, start_of_day
from agent.retention.report import Left
from agent.retention.site import Site

OLD_LISTS: Final = timedelta(3)
"""After the day on which a day's key was replaced: hosts wrap what comes later than
`late_uploads` by a list of day keys that is of that day or the day before, and what is
under way then has another to arrive (agent.recording.dispatch)."""
LOCKED_AGAIN_NS: Final = DAY_NS
"""How often it is tried to delete what a lock keeps: where storage locks what it gets
for most of a year, that is how long the ciphertext of an early erasure stays."""


@dataclass(slots=True)
class Outcome:
    """What became of early erasures; no personal data."""

    erased: list[str] = field(default_factory=list)
    "Nothing opens them any more, and every storage has confirmed it."
    pending: dict[str, date] = field(default_factory=dict)
    "Their envelopes are deleted; a copy of one opens until that day's run."
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    "What is not erased, and why: words among `hold`, `restriction`, `request`."
    left: list[Left] = field(default_factory=list)
    "What is not complete, and why; the next run tries again."
    publish: bool = False
    "Whether a day has a new key, so that the list of day keys is to be published."

    def to_words(self) -> dict[str, object]:
        """For answers and programs: JSON."""
        return {
            "erased": self.erased,
            "pending": {one: day.isoformat() for one, day in self.pending.items()},
            "held": {one: list(words) for one, words in self.held.items()},
            "incomplete": [one.to_words() for one in self.left],
        }


async def believe(mark: Mark) -> None:
    """Where nobody signs requests: whoever may begin an erasure decides."""


class Erasure:
    """Early erasures of a site."""

    def __init__(
        self,
        site: Site,
        *,
        late_uploads: int = LATE_UPLOADS,
        skew: float = SKEW,
        approved: Callable[[Mark], Awaitable[None]] = believe,
    ) -> None:
        """`late_uploads` is in days, `skew` in seconds.

        `approved` verifies a mark's request before a key goes; it raises AgentError.
        """
        self._site = site
        self._approved = approved
        self._skew = skew
        self._late = timedelta(late_uploads + 1)
        self._running = asyncio.Lock()
        self._locked: dict[str, tuple[int, list[Left]]] = {}
        "When it was last tried to delete what is left of a record, and what was."
        self._log = structlog.get_logger()

    async def begin(
        self,
        records: Mapping[str, Sequence[date]],
        reason: str,
        now_ns: int,
        *,
        reference: str = "",
        request: str = "",
    ) -> Outcome:
        """Erase recordings, each by its id and every day it is filed under.

        From the claim on nobody gets them any more. `reason` is a word, `reference` a
        case number; both stand in the audit log. `request` is the id of that which two
        persons signed. Asked again, it goes on where it is.

        Raises MarkError: the reason is no word; StorageError, AuditLogError.
        """
        outcome = Outcome()
        async with self._running:
            marks = []
            for recording_id, (day, *also) in records.items():
                mark = await self._mark(
                    day, recording_id, reason, now_ns, request=request, also=also
                )
                spread = await self._spread(mark, also)
                marks += [
                    one for one in spread if await self._claimed(one, now_ns, outcome)
                ]
                if recording_id not in outcome.held:
                    await self._site.row(
                        Act.ERASE, recording_id=recording_id, result="begun",
                        reference=reference, reason=mark.reason,
                    )  # fmt: skip
            await self._go_on(marks, now_ns, outcome)
        return outcome

    async def open_marks(self, recording_id: str) -> list[Mark]:
        """Those of a record that goes early and may still open. Raises StorageError."""
        found = []
        for key in await self._site.marks.names_of(recording_id):
            with suppress(MarkError):  # none of ours: its run tells of it
                found.append(await self._site.marks.read(key))
        return [mark for mark in found if mark.ids]

    async def run(self, now_ns: int) -> Outcome:
        """Go on with every early erasure that is not complete. Raises StorageError."""
        outcome = Outcome()
        async with self._running:
            marks: dict[str, Mark] = {}
            for key in await self._site.marks.names(early=True):
                try:
                    read = await self._site.marks.read(key)
                except MarkError as error:
                    self._log.critical("mark_refused", object=key, reason=str(error))
                    continue
                for mark in await self._spread(read):
                    marks[mark.key] = mark
            open_ids = {one.early_id for one in marks.values() if not one.complete}
            going = []
            for mark in marks.values():
                if mark.complete:
                    over = now_ns >= mark.complete_ns + FORGET_AFTER_NS
                    if over and mark.early_id not in open_ids:
                        await self._site.states.remove(mark.early_id)
                        await self._site.marks.remove(mark)
                elif await self._claimed(mark, now_ns, outcome):
                    going.append(mark)
            await self._go_on(going, now_ns, outcome)
        for one in outcome.left:
            # That a lock keeps ciphertext nobody need be woken for.
            if one.locked:
                self._log.info("erasure_locked", **one.to_words())
            else:
                self._log.error("erasure_incomplete", **one.to_words())
        return outcome

    async def _mark(
        self,
        day: date,
        recording_id: str,
        reason: str,
        now_ns: int,
        *,
        request: str = "",
        also: Iterable[date] = (),
    ) -> Mark:
        """A record's mark of a day, which may have been there before."""
        made = Mark.of(
            day, [recording_id], now_ns, EARLY, reason=reason, request=request,
            also=also, generation=max(self._site.generations(day), default=0),
        )  # fmt: skip
        mark = await self._site.marks.add(made)
        if request and mark.request != request:
            # Asked before, by another: this one was verified just now.
            mark = mark.by(request, now_ns)
            await self._site.marks.replace(mark)
        return mark

    async def _spread(self, mark: Mark, also: Iterable[date] = ()) -> list[Mark]:
        """The mark, and one for each other day that the record is filed under.

        Those days stand in the first until then: a killed process's successor goes on.
        """
        others = [
            await self._mark(
                day, mark.early_id, mark.reason, mark.approved_ns or mark.marked_ns,
                request=mark.request,
            )
            for day in sorted({*mark.others, *also})
        ]  # fmt: skip
        if mark.also:
            mark = mark.alone()
            await self._site.marks.replace(mark)
        return [mark, *others]

    async def _claimed(self, mark: Mark, now_ns: int, outcome: Outcome) -> bool:
        """Whether the record is ours; if something keeps it, the mark goes."""
        try:
            await claim(self._site.states, mark.early_id, now_ns)
        except HeldError as error:
            outcome.held[mark.early_id] = error.words
            await self._site.marks.remove(mark)
            return False
        return True

    async def _go_on(
        self, marks: Iterable[Mark], now_ns: int, outcome: Outcome
    ) -> None:
        days: dict[date, list[Mark]] = {}
        told: dict[date, list[Mark]] = {}
        failed: set[str] = set()
        for mark in marks:
            (days if mark.ids else told).setdefault(mark.date, []).append(mark)
        for day in sorted({*days, *told}):
            try:
                if day in days:
                    told.setdefault(day, []).extend(
                        await self._erase(day, days[day], now_ns, outcome)
                    )
                await self._clear(day, told.get(day, []), now_ns, outcome)
            except (AgentError, OSError) as error:
                place = self._site.places[0].name
                outcome.left.append(Left(day, place, str(error)))
                failed |= {mark.early_id for mark in days.get(day, ())}
        # One that is filed under several days has to be erased under all of them.
        whole = {*outcome.erased} - outcome.pending.keys() - failed
        outcome.erased = sorted(whole)

    async def _erase(
        self, day: date, marks: list[Mark], now_ns: int, outcome: Outcome
    ) -> list[Mark]:
        """Have nothing open a day's records any more: the marks of those that go."""
        if unsigned := await self._not_approved(marks):
            outcome.left += unsigned
            return []
        ids = {mark.early_id for mark in marks}
        newest = max(mark.generation for mark in marks)
        ending = Ending(self._site)
        left = await ending.envelopes(day, ids)
        if self._site.keyring is not None:

            def new_key() -> None:
                outcome.publish = True

            others = OtherEnvelopes(self._site, self._site.keyring, day)
            stuck = await others.move(ids, newest, new_key=new_key)
            since_ns = min(mark.marked_ns for mark in marks)
            left += await others.not_lost(stuck, since_ns, now_ns)
            marks = [await self._dated(mark, now_ns) for mark in marks]
        outcome.left += left
        until = {mark.early_id: self._until(mark) for mark in marks}
        if not left:
            marks = [mark for mark in marks if self._is_due(mark, now_ns)]
            ids = {mark.early_id for mark in marks}
        for one, ends in until.items():
            if left or one not in ids:
                outcome.pending[one] = max(ends, outcome.pending.get(one, ends))
        if left or not marks:
            return []
        newest = max(mark.generation for mark in marks)
        if self._site.keyring is not None:
            await check_clock(self._site.marks, marks[0], now_ns, self._skew)
        await destroy_day(self._site, day, now_ns, up_to=newest)
        await destroy_holds(self._site, ids, now_ns)
        method = await method_of(self._site, day)
        await ending.tell(day, ids, now_ns, method=method, policy=EARLY)
        told = [mark.tell(ids.intersection(mark.ids)) for mark in marks]
        for mark in told:
            await self._site.marks.replace(mark)
        outcome.erased += sorted(ids)
        return told

    async def _not_approved(self, marks: Iterable[Mark]) -> list[Left]:
        """Marks whose requests nobody has signed, as they lie in storage now.

        They go with the same keys as the day's others: until somebody has signed for
        them too, none of them goes.
        """
        left = []
        for mark in marks:
            try:
                await self._approved(mark)
            except AgentError as error:
                self._log.critical(
                    "erasure_not_approved",
                    recording_id=mark.early_id,
                    reason=str(error),
                )
                place = self._site.places[0].name
                left.append(Left(mark.date, place, str(error)))
        return left

    async def _dated(self, mark: Mark, now_ns: int) -> Mark:
        """The mark, in which it stands when its day's key was replaced.

        A process killed before it is written leaves a later time to its successor.
        """
        if mark.replaced or not self._site.generations(mark.date):
            return mark
        # A clock that is behind now and is set later would let it go too early.
        await check_clock(self._site.marks, mark, now_ns, self._skew)
        mark = mark.with_newer_key(now_ns)
        await self._site.marks.replace(mark)
        return mark

    def _until(self, mark: Mark) -> date:
        """The day from which on no host uses the keys any more that are to go."""
        late = mark.date + self._late
        if not mark.replaced:
            return late
        return max(late, day_of(mark.replaced_ns) + OLD_LISTS)

    def _is_due(self, mark: Mark, now_ns: int) -> bool:
        keys = self._site.keyring is not None
        return not keys or now_ns >= start_of_day(self._until(mark))

    async def _clear(
        self, day: date, marks: list[Mark], now_ns: int, outcome: Outcome
    ) -> None:
        """Delete what is left of records that nothing opens."""
        due = []
        for mark in marks:
            tried_ns, left = self._locked.get(mark.early_id, (0, []))
            if now_ns >= tried_ns + LOCKED_AGAIN_NS:
                due.append(mark)
            else:
                outcome.left += left
        if not due:
            return
        ids = {mark.early_id for mark in due}
        ending = Ending(self._site)
        left = [
            *await ending.envelopes(day, ids), *await ending.content(day, ids)
        ]  # fmt: skip
        outcome.left += left
        for mark in due:
            self._locked.pop(mark.early_id, None)
            if not left:
                await self._site.marks.replace(mark.completed(now_ns))
            elif all(one.locked for one in left):
                self._locked[mark.early_id] = now_ns, left
