"""Audit logs for tests: a clock that is driven, and a log that is filled."""

from dataclasses import dataclass
from typing import Final

from agent.archive.audit_log import AuditLog
from agent.formats.audit import Act
from agent.formats.sshsig import SigningKey
from agent.upload.backend import StorageBackend

KEY: Final = SigningKey.from_seed(bytes(range(32)))
OTHER: Final = SigningKey.from_seed(bytes(32))
ID: Final = "123e4567-e89b-42d3-a456-426614174000"
NOON: Final = 1_795_953_600_000_000_000
"2026-11-29T12:00:00Z"
DAY: Final = 86_400 * 10**9


@dataclass
class Clock:
    """Tells what it was set to."""

    now: int = NOON

    def __call__(self) -> int:
        return self.now


async def started(
    backend: StorageBackend, clock: Clock, key: SigningKey = KEY, writer: str = "gate"
) -> AuditLog:
    log = AuditLog(backend, writer, key, clock)
    await log.start()
    return log


async def filled(backend: StorageBackend, *, days: int = 3, each: int = 4) -> Clock:
    """A log of some days, each row an object of its own."""
    clock = Clock()
    log = await started(backend, clock)
    for _ in range(days):
        for _ in range(each):
            await log.append("p-17", Act.RELEASE, purpose="quality", recording_id=ID)
        clock.now += DAY
    await log.close()
    return clock
