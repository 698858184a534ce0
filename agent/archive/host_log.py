"""A host's own audit log: started, stopped, configured, paused; no call, no person.

It is written into the spool, durably, and brought to central storage like recordings
are: a storage that is away delays nothing. The last object stays in the spool, since
the next one follows from it. Each spool has a log of its own, `<host>.<spool>`: a host
whose disk was lost cannot go on with the log that was on it.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import structlog

from agent.archive.audit_log import AuditForkedError, AuditLog
from agent.archive.audit_verification import writers
from agent.archive.log_order import keys_after, sequence_of
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.files import make_private_directory
from agent.common.ids import new_id
from agent.common.tasks import TaskSet
from agent.formats.audit import MAX_OBJECT, Act, digest_of, host_of
from agent.formats.layout import audit_prefix
from agent.formats.sshsig import SigningKey
from agent.upload.backend import (
    ObjectExistsError,
    StorageBackend,
    StorageError,
    read_object,
)
from agent.upload.backends.directory import DirectoryBackend
from agent.upload.retry import delay_after

GATHER: Final = 2.0
"Seconds after a row in which others may join it on its way."
PARTING: Final = 3.0
"Seconds for what is said at the end; a storage that is away gets it next time."


class HostLog:
    """One host's log, in the spool and in every storage."""

    def __init__(
        self,
        folder: Path,
        host: str,
        key: SigningKey,
        storages: Sequence[tuple[str, StorageBackend]],
        *,
        clock: Callable[[], int] = utc_ns,
        rng: random.Random,
    ) -> None:
        """`folder` is the log's own; `storages` are names and `locked_url` of each."""
        self._folder = folder
        self._host = host
        self._key = key
        self._clock = clock
        self._spooled = DirectoryBackend(folder)
        self._storages = tuple(storages)
        self._there = [0] * len(self._storages)
        "The number of the last object that each storage has."
        self._away: set[str] = set()
        "Storages that failed when they were last asked."
        self._log: AuditLog | None = None
        self._prefix = ""
        self._rng = rng
        self._news = asyncio.Event()
        self._rows = TaskSet(self._lost)

    async def start(self) -> None:
        """Find the log's end, or begin one; until then nothing is written.

        Raises AuditBrokenError, LayoutError, OSError.
        """
        make_private_directory(self._folder)
        begun = [name for name in await writers(self._spooled) if self._is_ours(name)]
        writer = begun[-1] if begun else f"{self._host}.{new_id()[:8]}"
        log = AuditLog(self._spooled, writer, self._key, self._clock)
        await log.start()
        self._log, self._prefix = log, audit_prefix(writer)
        self._news.set()

    def _is_ours(self, writer: str) -> bool:
        return host_of(writer) == self._host

    def note(self, act: Act, *, result: str = "ok", **detail: str) -> None:
        """Have a row written, soon; one that cannot be is told in the log."""
        if self._log is not None:
            row = self._write(self._log, act, result, detail)
            self._rows.spawn(row, name=f"audit-{act}")

    async def _write(
        self, log: AuditLog, act: Act, result: str, detail: dict[str, str]
    ) -> None:
        try:
            await log.append(self._host, act, result=result, detail=detail)
        except AgentError as error:
            structlog.get_logger().error("audit_row_lost", act=act, reason=str(error))
        else:
            self._news.set()

    async def run(self) -> None:
        """Bring to storage what is written, for ever."""
        failures = 0
        while True:
            if not failures:
                await self._news.wait()
                await asyncio.sleep(GATHER)
            self._news.clear()
            failures = 0 if await self.ship() else failures + 1
            if failures:
                await asyncio.sleep(delay_after(failures, self._rng))

    async def close(self) -> None:
        """Write what was noted, and bring it to storage if that is quickly done."""
        if self._log is None:
            return
        await self._rows.drain(PARTING)
        await self._log.close()
        try:
            await asyncio.wait_for(self.ship(), PARTING)
        except TimeoutError:
            structlog.get_logger().info("audit_log_waits", last=self._log.last)
        await self._rows.close()

    async def ship(self) -> bool:
        """Copy what each storage lacks, and forget what all have; whether they do."""
        complete = True
        for number, (name, storage) in enumerate(self._storages):
            try:
                await self._ship_to(storage, number)
            except (StorageError, AuditForkedError, OSError) as error:
                complete = False
                self._away.add(name)
                structlog.get_logger().error(
                    "audit_log_not_stored", storage=name, reason=str(error)
                )
            else:
                if name in self._away:
                    self._away.remove(name)
                    structlog.get_logger().info("audit_log_stored", storage=name)
        kept = min(self._there, default=0)
        for key in (await self._waiting())[:-1]:
            if sequence_of(key) <= kept:
                await self._spooled.delete(key)
        return complete

    async def _ship_to(self, storage: StorageBackend, number: int) -> None:
        for key in await self._waiting():
            if sequence_of(key) <= self._there[number]:
                continue
            data = await read_object(self._spooled, key, MAX_OBJECT)
            digest = digest_of(data)
            try:
                await storage.put(key, data, sha256=digest)
            except ObjectExistsError:
                # Asked, not read: a host may not read what is in storage.
                if not await storage.holds(key, sha256=digest, size=len(data)):
                    raise AuditForkedError(
                        f"{key} is not what this host wrote."
                    ) from None
            self._there[number] = sequence_of(key)

    async def _waiting(self) -> list[str]:
        """The objects in the spool, in the order of their rows."""
        return await keys_after(self._spooled, self._prefix.split("/")[1], 0, date.min)

    def _lost(self, name: str, error: BaseException) -> None:
        structlog.get_logger().critical("audit_row_lost", act=name, exc_info=error)
