"""`find`: recordings by number, officer and days, from the blind index.

For officers all work starts from their own calls: neither the answer nor the time it
takes depends on calls of others.
"""

import asyncio
from datetime import date, timedelta
from typing import Final

from agent.archive.index import AT_ONCE, MAX_HITS, find
from agent.formats.audit import Act
from agent.formats.blind_index import blind
from agent.formats.layout import Domain, month_of
from agent.formats.roster import Person
from agent.gate.admission import Admission
from agent.gate.bodies import FindRequest, Found, Hit
from agent.gate.limits import Counted
from agent.gate.parts import Parts

MAX_SHOWN: Final = 1000
MAX_WINDOW: Final = timedelta(days=800)
"Of a longer one its last days are searched, and it is told that there is more."
MAX_LISTED: Final = timedelta(days=31)
"Where neither number nor officer is given: every recording of those days."

Found_ = tuple[dict[str, date], bool]


class Finding:
    """Searches, and writes down that it was searched; never for whom."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        self._parts = parts
        self._admission = admission

    async def find(self, person: Person, asked: FindRequest) -> Found:
        """What fits. Raises RefusalError, AuditLogError, StorageError."""
        admission = self._admission
        allowed = await admission.act(
            person, Act.FIND, purpose=asked.purpose, reference=asked.reference
        )
        await admission.count(person, Act.FIND, Counted.FINDS)
        everything = (
            allowed.everyones and asked.number is None and (asked.officer is None)
        )
        first = max(
            asked.first, asked.last - (MAX_LISTED if everything else MAX_WINDOW)
        )
        wider, asked = asked.first < first, asked.model_copy(update={"first": first})
        numbers = self._numbers(asked.officer)
        if not allowed.everyones:
            hits, truncated = await self._by("officer", person.numbers, asked)
            hits = {id_: day for id_, day in hits.items() if person.is_active(day)}
            hits = await self._only(hits, "caller", [asked.number])
            hits = await self._only(hits, "officer", numbers)
        elif asked.number is not None:
            hits, truncated = await self._by("caller", (asked.number,), asked)
            hits = await self._only(hits, "officer", numbers)
        elif asked.officer is not None:
            hits, truncated = await self._by("officer", tuple(numbers), asked)
        else:
            hits, truncated = await self._listed(asked)
        ordered = sorted((day, id_) for id_, day in hits.items())
        await self._parts.log.append(
            person.id,
            Act.FIND,
            purpose=asked.purpose,
            reference=asked.reference,
            detail={
                "by": _kind(asked),
                "from": asked.first.isoformat(),
                "to": asked.last.isoformat(),
                "hits": str(len(ordered)),
            },
        )
        return Found(
            hits=[Hit(id=id_, day=day) for day, id_ in ordered[:MAX_SHOWN]],
            truncated=wider or truncated or len(ordered) > MAX_SHOWN,
        )

    def _numbers(self, officer: str | None) -> list[str | None]:
        """Of whom is asked: [None] if of nobody."""
        if officer is None or not officer.startswith("p-"):
            return [officer]
        known = self._parts.roster().person(officer)
        return [] if known is None else [*known.numbers]

    async def _by(
        self, domain: Domain, numbers: "tuple[str | None, ...]", asked: FindRequest
    ) -> Found_:
        keyring = self._parts.keyring
        hits: dict[str, date] = {}
        truncated = False
        for number in numbers:
            if number is None:
                continue

            def blind_of(month: str, domain: Domain, number: str = number) -> str:
                return blind(keyring.index_key(month), domain, number)

            found = await find(self._parts.archive, blind_of, _months(asked), domain)
            truncated |= found.truncated
            hits |= {
                hit.id: hit.day
                for hit in found.hits
                if asked.first <= hit.day <= asked.last
            }
        return hits, truncated

    async def _only(
        self, hits: dict[str, date], domain: Domain, numbers: "list[str | None]"
    ) -> dict[str, date]:
        """Of what was found, what the index names under one of the numbers too."""
        if numbers == [None]:
            return hits
        kept: dict[str, date] = {}
        waiting = list(hits.items())
        for start in range(0, len(waiting), AT_ONCE):
            batch = waiting[start : start + AT_ONCE]
            fits = await asyncio.gather(
                *(self._fits(one, day, domain, numbers) for one, day in batch)
            )
            kept |= dict(pair for pair, fit in zip(batch, fits, strict=True) if fit)
        return kept

    async def _fits(
        self, recording_id: str, day: date, domain: Domain, numbers: "list[str | None]"
    ) -> bool:
        for number in numbers:
            if number is not None and await self._admission.is_indexed(
                recording_id, month_of(day), domain, number
            ):
                return True
        return False

    async def _listed(self, asked: FindRequest) -> Found_:
        hits: dict[str, date] = {}
        day = asked.first
        while day <= asked.last:
            for recording_id in await self._parts.archive.recordings(day):
                if len(hits) >= MAX_HITS:
                    return hits, True
                hits[recording_id] = day
            day += timedelta(1)
        return hits, False


def _months(asked: FindRequest) -> list[str]:
    months = []
    day = asked.first.replace(day=1)
    while day <= asked.last:
        months.append(month_of(day))
        day = (day + timedelta(31)).replace(day=1)
    return months


def _kind(asked: FindRequest) -> str:
    given = [
        name
        for name, value in (("number", asked.number), ("officer", asked.officer))
        if value is not None
    ]
    return "+".join(given) or "days"
