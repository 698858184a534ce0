"""Who asks, and whether they may: every act begins here, and every refusal is logged.

The order is what keeps secrets: first what the asker alone decides, then whether a
record is their own, and only then whether it is there.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, NoReturn

import structlog

from agent.access.purposes import Purpose
from agent.access.roles import (
    Allowed,
    Denied,
    Facts,
    Reason,
    decide,
    decide_record,
    decide_state,
)
from agent.archive.record_state import RecordState
from agent.archive.store import AHEAD, NotFoundError
from agent.formats.audit import Act
from agent.formats.blind_index import blind
from agent.formats.layout import Domain, envelope_key, index_key, month_of
from agent.formats.roster import Person
from agent.gate.limits import Counted
from agent.gate.parts import Parts
from agent.gate.refusals import (
    DeniedError,
    ErasedError,
    RestrictedError,
    TooManyError,
)
from agent.upload.backend import ObjectMissingError

MONTHS_BACK: Final = 25
"In which an officer's call is looked for: as far as the archive looks."
STRANGER: Final = "stranger"
"Whose tries are counted together: a certificate that the roster does not know."


@dataclass(frozen=True, slots=True)
class Record:
    """A record that somebody was admitted to."""

    id: str
    day: date
    state: RecordState
    envelope: bytes = field(default=b"", repr=False)
    "As it is stored, where it was asked for."


class Admission:
    """Decides, and writes down what it denies."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def person(self, spki: str) -> Person:
        """Whose certificate it is. Raises DeniedError, TooManyError."""
        parts = self._parts
        who = parts.roster().by_certificate(spki, parts.today())
        name = STRANGER if who is None else who.id
        if parts.limits.full(name, Counted.DENIALS, parts.monotonic()):
            # Not logged: else the log could be filled by asking.
            raise TooManyError
        if who is None:
            await self._count(STRANGER, Counted.DENIALS)
            await parts.log.append(
                parts.name, Act.DENIED, result=STRANGER, detail={"certificate": spki}
            )
            raise DeniedError
        return who

    def is_known(self, spki: str) -> bool:
        """Whether it is a person's certificate today, or a host's."""
        parts = self._parts
        roster, today = parts.roster(), parts.today()
        known = roster.by_certificate(spki, today) is not None
        return known or roster.knows_host(spki, today)

    async def act(
        self,
        person: Person,
        act: Act,
        *,
        purpose: Purpose | None = None,
        reference: str = "",
        recording_id: str = "",
    ) -> Allowed:
        """What the person may do at all. Raises DeniedError."""
        decision = decide(person, act, purpose, reference)
        if isinstance(decision, Denied):
            await self.deny(
                person, act, decision.reason, purpose=purpose, recording_id=recording_id
            )
        return decision

    async def looking(self, person: Person, recording_id: str) -> Allowed:
        """Whether the person may see what is known of records. Raises DeniedError."""
        decision = decide_state(person)
        if isinstance(decision, Denied):
            await self.deny(
                person, Act.FIND, decision.reason, recording_id=recording_id
            )
        return decision

    async def record(
        self,
        person: Person,
        allowed: Allowed,
        act: Act,
        recording_id: str,
        day: date | None = None,
        *,
        purpose: Purpose | None = None,
        restricted: bool = True,
        envelope: bool = False,
    ) -> Record:
        """The record, if the person may do that to it; `day` if they know it.

        `restricted`: whether a restriction keeps this act from everybody but the case
        handler. `envelope`: whether to read it, which also tells that it is there.
        Raises DeniedError, ErasedError, RestrictedError.
        """
        parts = self._parts
        own = not allowed.everyones and await self.owns(person, recording_id, day)
        facts = Facts(there=False, own=own)
        state = RecordState(id=recording_id)
        filed: date | None = None
        data = b""
        if own or allowed.everyones:
            # Nobody else causes any work that depends on the record.
            state, erased, (filed, data) = await asyncio.gather(
                parts.states.read(recording_id),
                parts.erased.was_erased(recording_id),
                self._filed(recording_id, day, read=envelope),
            )
            # What its officer's number names may have been somebody else's before.
            own = own and filed is not None and person.is_active(filed)
            facts = Facts(
                there=filed is not None,
                own=own,
                restricted=restricted and state.restricted is not None,
                erased=erased or bool(state.erasing),
            )
        decision = decide_record(person, allowed, facts)
        if isinstance(decision, Denied):
            await self.deny(
                person, act, decision.reason, purpose=purpose, recording_id=recording_id
            )
        assert filed is not None  # noqa: S101 - decide_record: it is there
        return Record(recording_id, filed, state, data)

    async def owns(self, person: Person, recording_id: str, day: date | None) -> bool:
        """Whether the officers' index names a record under a number of theirs.

        The same work whether the record is there or not. Raises StorageError.
        """
        months = self._recent_months() if day is None else [month_of(day)]
        found = await asyncio.gather(
            *(
                self.is_indexed(recording_id, month, "officer", number)
                for month in months
                for number in person.numbers
            )
        )
        return any(found)

    async def is_indexed(
        self, recording_id: str, month: str, domain: Domain, number: str
    ) -> bool:
        """Whether a month's index names a record under a number."""
        key = blind(self._parts.keyring.index_key(month), domain, number)
        return await self._there(index_key(month, domain, key, recording_id))

    async def count(self, person: Person, act: Act, what: Counted) -> None:
        """Count one more. Raises TooManyError, once that is logged."""
        if await self._count(person.id, what):
            await self.log_denied(person, act, "too-many")
            raise TooManyError

    async def deny(
        self,
        person: Person,
        act: Act,
        reason: Reason,
        *,
        purpose: Purpose | None = None,
        recording_id: str = "",
    ) -> NoReturn:
        """Log it and refuse. Raises DeniedError, ErasedError, RestrictedError."""
        await self.log_denied(
            person, act, reason, purpose=purpose or "", recording_id=recording_id
        )
        match reason:
            case Reason.ERASED:
                raise ErasedError
            case Reason.RESTRICTED:
                raise RestrictedError
            case Reason.ROLE | Reason.REFERENCE:
                # It says nothing of any record.
                raise DeniedError(reason)
            case _:
                raise DeniedError

    async def log_denied(
        self,
        person: Person,
        act: Act,
        result: str,
        *,
        purpose: str = "",
        recording_id: str = "",
    ) -> None:
        """Count and write down one refusal. Raises AuditLogError."""
        await self._count(person.id, Counted.DENIALS)
        await self._parts.log.append(
            person.id,
            Act.DENIED,
            purpose=purpose,
            recording_id=recording_id,
            result=result,
            detail={"act": act},
        )

    async def _count(self, who: str, what: Counted) -> bool:
        """Count one more; whether that is refused. Raises the alarm where it is due."""
        parts = self._parts
        verdict = parts.limits.take(who, what, parts.monotonic())
        if verdict.alarm:
            structlog.get_logger().error(
                "mass_access", who=who, what=what, count=verdict.count
            )
            await parts.log.append(
                parts.name,
                Act.ALARM,
                result="mass-access",
                detail={"who": who, "what": what, "count": str(verdict.count)},
            )
        return verdict.refused

    async def _filed(
        self, recording_id: str, day: date | None, *, read: bool
    ) -> tuple[date | None, bytes]:
        """The day that has it, if any has, and its envelope if that is to be read."""
        archive = self._parts.archive
        if day is None:
            day = await archive.locate(recording_id)
        elif not read and not await self._there(envelope_key(day, recording_id)):
            return None, b""
        if day is None or not read:
            return day, b""
        try:
            return day, await archive.envelope(recording_id, day)
        except NotFoundError:
            return None, b""

    async def _there(self, key: str) -> bool:
        try:
            await self._parts.archive.state.head(key)
        except ObjectMissingError:
            return False
        return True

    def _recent_months(self) -> Iterable[str]:
        day = self._parts.today() + timedelta(AHEAD)
        for _ in range(MONTHS_BACK):
            yield month_of(day)
            day = day.replace(day=1) - timedelta(1)
