"""What the audit log tells those who may ask: when and why, and whether it is whole."""

from datetime import timedelta
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
from agent.gate.parts import Parts
from agent.gate.refusals import ConflictError

MAX_ROWS: Final = 10_000
"Of one answer: far more than one recording is ever opened."
MAX_FINDINGS: Final = 1000
BACK: Final = timedelta(days=800)
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

    async def of_recording(self, person: Person, recording_id: str) -> AuditRows:
        """When and why a recording was used. Raises RefusalError, AuditLogError."""
        parts = self._parts
        await self._admission.act(person, Act.AUDIT_READ, recording_id=recording_id)
        await parts.log.append(
            person.id, Act.AUDIT_READ, recording_id=recording_id, detail={"by": "id"}
        )
        told = read_rows(
            parts.archive.locked,
            parts.name,
            parts.roster().gate_keys(),
            first=parts.today() - BACK,
        )
        try:
            rows = [
                AuditRow(
                    time=row.time, act=row.act, purpose=row.purpose, result=row.result
                )
                async for row in told
                if row.id == recording_id and row.act in TOLD
            ]
        except AuditBrokenError as error:
            structlog.get_logger().error("audit_log_broken", why=str(error))
            raise ConflictError("audit-broken") from error
        return AuditRows(rows=rows[-MAX_ROWS:])

    async def verify(self, person: Person) -> AuditVerdict:
        """Whether every writer's log is whole. Raises RefusalError, AuditLogError."""
        await self._admission.act(person, Act.AUDIT_READ)
        await self._parts.log.append(person.id, Act.AUDIT_READ, detail={"by": "verify"})
        findings = await self.findings()
        for finding in findings:
            structlog.get_logger().error("audit_log_broken", why=finding)
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
