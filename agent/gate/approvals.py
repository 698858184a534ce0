"""Requests that two rostered persons have signed: kept, looked up, carried out once.

They lie in storage under their ids, create-only; beside each, once it was carried out,
lies a mark. So nothing is done twice, whoever brings it again.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from agent.access.requests import (
    MAX_DOCUMENT,
    Request,
    RequestedAct,
    RequestError,
    parse_request,
    verify_request,
)
from agent.archive.record_state import RecordState
from agent.common.errors import AgentError
from agent.common.moments import moment_of
from agent.formats.audit import Act
from agent.formats.layout import Folder, valid_id
from agent.formats.roster import Person
from agent.formats.signed import split_document
from agent.gate.admission import Admission, Record
from agent.gate.parts import Parts
from agent.gate.refusals import (
    ConflictError,
    DeniedError,
    ErasedError,
    MalformedError,
    RefusalError,
)
from agent.retention.marks import Mark
from agent.upload.backend import (
    ObjectExistsError,
    ObjectMissingError,
    ObjectTooLargeError,
    read_object,
)

REQUESTS: Final = f"{Folder.GATE}/requests"

MAX_KNOWN: Final = 16
SAME_RUN: Final = 60.0
"Seconds in which thousands of records may go by one request that is verified once."


@dataclass(frozen=True, slots=True)
class _Known:
    """A request as it was verified, and by which roster, on which day."""

    request: Request
    view: tuple[int, date]


class Approvals:
    """Signed requests, in the state's backend."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        self._parts = parts
        self._admission = admission
        self._known: dict[str, _Known] = {}
        "Requests that were verified: one to re-wrap is asked for at each recording."
        self._verified_again: tuple[tuple[object, ...], Request] | None = None
        "The last of those by which records go: one may name thousands of them."

    async def take(self, person: Person, document: bytes) -> str:
        """Keep a signed request; its id. The same again is no mistake.

        Raises RefusalError, AuditLogError, StorageError.
        """
        await self._admission.act(person, Act.REQUEST)
        request, approvers = self._verified(document)
        await self._must_be(document, request)
        # First, for what is kept may be carried out.
        for approver in approvers:
            await self._row(approver.id, Act.APPROVE, request)
        await self._row(person.id, Act.REQUEST, request)
        key = f"{REQUESTS}/{request.id}.signed"
        try:
            await self._parts.archive.state.put(key, document)
        except ObjectExistsError:
            await self._must_be(document, request)
        return request.id

    async def open(self, request_id: str) -> Request:
        """A request that is approved, not over, and not carried out.

        Raises DeniedError where there is none, ErasedError where it was carried out.
        """
        if not valid_id(request_id):
            raise DeniedError
        # Approvers may have left since: today's roster counts.
        view = (self._parts.roster().serial, self._parts.today())
        known = self._known.get(request_id)
        if (
            known is None
            or known.view != view
            or known.request.expires <= self._parts.instant()
        ):
            try:
                document = await self._document(request_id)
            except ObjectMissingError:
                raise DeniedError from None
            known = _Known(self._verified(document)[0], view)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[request_id] = known
        if await self._is_done(request_id):
            raise ErasedError("spent")
        return known.request

    async def covering(self, person: Person, request_id: str, record: Record) -> None:
        """Check that an open request to re-wrap is about this record.

        Raises RefusalError, once that is logged.
        """
        try:
            request = await self.open(request_id)
            covered = request.act is RequestedAct.REWRAP and await self.covers(
                request, record
            )
        except RefusalError:
            covered = False
        if not covered:
            await self._admission.log_denied(
                person, Act.REWRAP, "request", recording_id=record.id
            )
            raise DeniedError("request")

    async def covers(self, request: Request, record: Record) -> bool:
        """Whether a request is about a record."""
        officers: list[str] = []
        rule = request.rule
        if rule is not None and rule.person:
            named = self._parts.roster().person(rule.person)
            # On days that are not theirs the number was somebody else's.
            if (
                named is not None
                and named.is_active(record.day)
                and await self._admission.owns(named, record.id, record.day)
            ):
                officers = [named.id]
        return request.covers(record.id, record.day, officers)

    async def approved(self, mark: Mark) -> None:
        """Verify once more that two persons asked for an early erasure.

        As it was when it began: its request may have expired since, and approvers may
        have left. Raises RequestError: none in storage says so; StorageError.
        """
        if not mark.request:
            raise RequestError("The mark of the erasure names no request.")
        serial, now = self._parts.roster().serial, self._parts.monotonic()
        view = (mark.request, mark.approved, serial, now // SAME_RUN)
        if self._verified_again is None or self._verified_again[0] != view:
            request = await self._as_it_was(mark.request, mark.approved_ns)
            self._verified_again = view, request
        request = self._verified_again[1]
        record = Record(mark.early_id, mark.date, RecordState(id=mark.early_id))
        same = (request.id, request.act) == (mark.request, RequestedAct.ERASE)
        if not same or not await self.covers(request, record):
            raise RequestError("The erasure's request is about something else.")

    async def _as_it_was(self, request_id: str, at_ns: int) -> Request:
        try:
            document = await self._document(request_id)
        except (ObjectMissingError, ObjectTooLargeError):
            raise RequestError("The erasure's request is not there.") from None
        at = moment_of(at_ns)
        return verify_request(document, self._parts.roster(), at).request

    async def finish(self, request: Request) -> None:
        """Note durably that a request was carried out."""
        try:
            await self._parts.archive.state.put(
                f"{REQUESTS}/{request.id}.done", self._parts.instant().encode()
            )
        except ObjectExistsError:
            return

    async def _must_be(self, document: bytes, request: Request) -> None:
        """Raises ConflictError if another document is kept under the request's id."""
        try:
            kept = await self._document(request.id)
        except ObjectMissingError:
            return
        if kept != document:
            raise ConflictError("another")

    async def _document(self, request_id: str) -> bytes:
        key = f"{REQUESTS}/{request_id}.signed"
        return await read_object(self._parts.archive.state, key, MAX_DOCUMENT)

    async def _is_done(self, request_id: str) -> bool:
        try:
            await self._parts.archive.state.head(f"{REQUESTS}/{request_id}.done")
        except ObjectMissingError:
            return False
        return True

    def _verified(self, document: bytes) -> tuple[Request, tuple[Person, ...]]:
        try:
            approved = verify_request(document, self._parts.roster(), self._parts.now())
        except RequestError:
            raise MalformedError(_fault(document)) from None
        return approved.request, approved.approvers

    async def _row(self, who: str, act: Act, request: Request) -> None:
        await self._parts.log.append(
            who,
            act,
            reference=request.reference,
            detail={
                "request": request.id,
                "act": request.act,
                "reason": request.reason,
                "recordings": str(len(request.recordings)),
            },
        )


def _fault(document: bytes) -> str:
    """Whether it is no request at all, or one that too few have signed in time."""
    try:
        parse_request(split_document(document)[0])
    except AgentError:
        return "malformed"
    return "not-approved"
