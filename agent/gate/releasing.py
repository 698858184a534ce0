"""`release`: an envelope without the gate's layer, once its audit row is durable."""

from base64 import b64encode

import structlog

from agent.access.purposes import Purpose
from agent.access.roles import Reason
from agent.archive.store import NotFoundError
from agent.formats.age import AgeError
from agent.formats.audit import Act
from agent.formats.envelope import unwrap
from agent.formats.roster import Person
from agent.gate.admission import Admission, Record
from agent.gate.approvals import Approvals
from agent.gate.bodies import Release, ReleaseRequest
from agent.gate.limits import Counted
from agent.gate.parts import Parts
from agent.gate.refusals import ConflictError, DeniedError


class Releasing:
    """Hands out envelopes; it never sees what is in them."""

    def __init__(
        self, parts: Parts, admission: Admission, approvals: Approvals
    ) -> None:
        self._parts = parts
        self._admission = admission
        self._approvals = approvals

    async def release(self, person: Person, asked: ReleaseRequest) -> Release:
        """The envelope that opens with the person's own key, if they may have it.

        Raises RefusalError; AuditLogError: nothing is handed out then.
        """
        admission, parts = self._admission, self._parts
        allowed = await admission.act(
            person,
            Act.RELEASE,
            purpose=asked.purpose,
            reference=asked.reference,
            recording_id=asked.id,
        )
        detail = {}
        if asked.purpose is Purpose.DISCLOSURE:
            if not (asked.recipient and asked.basis):
                await admission.deny(
                    person, Act.RELEASE, Reason.REFERENCE,
                    purpose=asked.purpose, recording_id=asked.id,
                )  # fmt: skip
            detail = {"recipient": asked.recipient, "basis": asked.basis}
        if asked.purpose is not Purpose.REWRAP:
            await admission.count(person, Act.RELEASE, Counted.RELEASES)
        async with parts.record_locks(asked.id):
            record = await admission.record(
                person, allowed, Act.RELEASE, asked.id, asked.day,
                purpose=asked.purpose, envelope=True,
            )  # fmt: skip
            if asked.purpose is Purpose.REWRAP:
                # In bulk, and not counted: two persons have approved these.
                await self._approvals.covering(person, asked.reference, record)
            inner = await self._open(record)
            await parts.log.append(
                person.id,
                Act.RELEASE,
                purpose=asked.purpose,
                recording_id=asked.id,
                reference=asked.reference,
                detail=detail,
            )
        envelope = b64encode(inner).decode()
        return Release(id=asked.id, day=record.day, envelope=envelope)

    async def _open(self, record: Record) -> bytes:
        try:
            return await self._unwrap(record, record.envelope)
        except AgeError:
            # An erasure nearby may just have moved it under another key.
            try:
                return await self._unwrap(record, await self._read(record))
            except AgeError as error:
                structlog.get_logger().error(
                    "envelope_does_not_open",
                    recording_id=record.id,
                    reason=str(error),
                )
                raise ConflictError("damaged") from error

    async def _read(self, record: Record) -> bytes:
        try:
            return await self._parts.archive.envelope(record.id, record.day)
        except NotFoundError:
            raise DeniedError from None  # erased since we looked

    async def _unwrap(self, record: Record, outer: bytes) -> bytes:
        keyring = self._parts.keyring
        held = await keyring.hold_identity(record.id)
        day = keyring.day_identities(record.day)
        return unwrap(outer, [*([] if held is None else [held]), *day], record.id)
