"""What the audit log tells those who may ask: when and why, and whether it is whole."""

import asyncio
from datetime import date, timedelta
from typing import Final

import structlog

from agent.archive.audit_log import AuditBrokenError
from agent.archive.audit_verification import read_rows, verify_log, writers
from agent.archive.store_log import StoreLogError
from agent.formats.audit import Act, host_of
from agent.formats.roster import Person
from agent.formats.sshsig import PublicKey
from agent.gate.admission import Admission
from agent.gate.bodies import AuditRow, AuditRows, AuditVerdict
from agent.gate.comparing import compare
from agent.gate.limits import Counted
from agent.gate.parts import Parts
from agent.gate.refusals import ConflictError

MAX_ROWS: Final = 10_000
"Of one answer: far more than one recording is ever opened."
MAX_FINDINGS: Final = 1000
BACK: Final = timedelta(days=800)
PATIENCE: Final = 10.0
"Seconds of reading after which an answer says where to go on."
READERS: Final = 2
"At once: others wait, and the gate has time for releases."
TOLD: Final = frozenset(
    {Act.RELEASE, Act.EXPORT, Act.HOLD, Act.UNHOLD, Act.RESTRICT, Act.UNRESTRICT}
    | {Act.ANNOTATE, Act.REWRAP, Act.ERASE, Act.ERASED}
)
"What a person may learn of a recording of theirs; tries that failed gave nobody any."


class Auditing:
    """Reads the gate's log; nobody's acts change it."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        self._parts = parts
        self._admission = admission
        self._reading = asyncio.Semaphore(READERS)

    async def of_recording(
        self, person: Person, recording_id: str, first: date | None = None
    ) -> AuditRows:
        """When and why a recording was used, from the UTC day `first` on.

        As far as can be read in `PATIENCE`. Raises RefusalError, AuditLogError.
        """
        parts, admission = self._parts, self._admission
        await admission.act(person, Act.AUDIT_READ, recording_id=recording_id)
        await admission.count(person, Act.AUDIT_READ, Counted.AUDITS)
        await parts.log.append(
            person.id, Act.AUDIT_READ, recording_id=recording_id, detail={"by": "id"}
        )
        oldest = parts.today() - BACK
        try:
            async with self._reading:
                return await self._read(recording_id, max(first or oldest, oldest))
        except AuditBrokenError as error:
            structlog.get_logger().error("audit_log_broken", reason=str(error))
            raise ConflictError("audit-broken") from error

    async def _read(self, recording_id: str, first: date) -> AuditRows:
        parts = self._parts
        until = parts.monotonic() + PATIENCE
        rows: list[AuditRow] = []
        current: date | None = None
        log, trusted = parts.archive.locked, parts.roster().gate_keys()
        async for row in read_rows(log, parts.name, trusted, first=first):
            day = row.moment.date()
            # One day at least is read, so that to go on comes to an end.
            if day != current:
                if current is not None and parts.monotonic() > until:
                    return AuditRows(rows=rows[-MAX_ROWS:], next=day)
                current = day
            if row.id == recording_id and row.act in TOLD:
                rows.append(
                    AuditRow(
                        time=row.time,
                        act=row.act,
                        purpose=row.purpose,
                        result=row.result,
                    )
                )
        return AuditRows(rows=rows[-MAX_ROWS:])

    async def verify(self, person: Person) -> AuditVerdict:
        """Whether every writer's log is whole. Raises RefusalError, AuditLogError."""
        await self._admission.act(person, Act.AUDIT_READ)
        await self._admission.count(person, Act.AUDIT_READ, Counted.AUDITS)
        await self._parts.log.append(person.id, Act.AUDIT_READ, detail={"by": "verify"})
        async with self._reading:
            findings = await self.findings()
        for finding in findings:
            structlog.get_logger().error("audit_log_broken", reason=finding)
        return AuditVerdict(ok=not findings, findings=findings[:MAX_FINDINGS])

    async def findings(self) -> list[str]:
        """Every flaw of every log, and what no row explains. Raises StorageError."""
        parts = self._parts
        found: list[str] = []
        names = {*await writers(parts.archive.locked), parts.name}
        for writer in sorted(names):
            report = await verify_log(
                parts.archive.locked, writer, self._keys(writer), parts.copies
            )
            found += map(str, report.findings)
        try:
            return found + await compare(parts)
        except (StoreLogError, AuditBrokenError, OSError) as error:
            return [*found, f"store log: it cannot be compared: {error}"]

    def _keys(self, writer: str) -> tuple[PublicKey, ...]:
        roster = self._parts.roster()
        if writer == self._parts.name:
            return roster.gate_keys()
        return roster.host_keys().get(host_of(writer), ())
