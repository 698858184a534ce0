"""The uploader: sealed recordings → storage, verified → local copy purged.

The queue is the spool's `sealed` directory; whether an object is stored is asked of
the storage, never remembered. After a restart it goes on where the storage says.
"""

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.recording.dispatch import NotReadyError
from agent.recording.spool import SealedError, SealedObject, Spool
from agent.recording.waiting_line import WaitingLine
from agent.recording.work_queue import WorkQueue
from agent.upload.backend import (
    BadKeyError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectUnlockedError,
    StorageBackend,
    StorageError,
)
from agent.upload.retry import LONGEST, delay_after
from agent.upload.targets import Target

CONCURRENCY: Final = 4
"Recordings under way at once: enough to hide the latency of one storage."
_OF_THE_RECORDING: Final = (
    BadKeyError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectUnlockedError,
    SealedError,
    NotReadyError,
)
"What is one recording's own fault, and no outage: it alone waits."


class Uploader:
    """Stores what is sealed; `on_stored` and `on_purged` are awaited with each id."""

    def __init__(
        self,
        spool: Spool,
        targets: Sequence[Target],
        *,
        on_stored: Callable[[str], Awaitable[None]],
        on_purged: Callable[[str], Awaitable[None]],
        objects_of: Callable[[str], Awaitable[Sequence[SealedObject]]] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """`objects_of` makes a sealed recording ready to leave: what goes where."""
        self._spool = spool
        self._objects_of = objects_of or self._as_sealed
        self._targets = tuple(targets)
        self._on_stored = on_stored
        self._on_purged = on_purged
        self._rng = rng or random.Random(os.urandom(8))  # noqa: S311 - jitter
        self._line = WaitingLine(outage=self._delay, own=lambda _: LONGEST)
        self._queue = WorkQueue(
            self._line,
            self._store_and_count,
            at_once=CONCURRENCY,
            on_failed=self._put_off,
            is_own_fault=lambda error: isinstance(error, _OF_THE_RECORDING),
            on_recovered=self._recovered,
        )
        self._notified = itertools.count()
        self._log = structlog.get_logger()
        self.stored = 0
        "Recordings stored since start."
        self.failures = 0
        "Attempts that failed since start."

    @property
    def pending(self) -> int:
        """Recordings sealed and not yet stored."""
        return len(self._line)

    @property
    def away(self) -> bool:
        """Whether storage failed when it was last asked."""
        return self._line.failures > 0

    def waiting_since(self) -> int | None:
        """When what waits longest was sealed, in nanoseconds since the Unix epoch.

        None if nothing waits.
        """
        for recording_id in self._line:  # in the order in which they were sealed
            with contextlib.suppress(FileNotFoundError):  # purged this very moment
                return self._spool.sealed_at(recording_id)
        return None

    def notify(self, recording_id: str) -> None:
        """A recording has been sealed."""
        self._queue.add(recording_id, next(self._notified))

    async def run(self) -> None:
        """Store what waits and what comes, for ever, the oldest first."""
        for recording_id in await asyncio.to_thread(self._spool.list_sealed):
            self.notify(recording_id)
        await self._queue.run()

    def _delay(self, failures: int) -> float:
        return delay_after(failures, self._rng)

    def _recovered(self) -> None:
        self._log.info("storage_back", pending=self.pending)

    def _put_off(
        self, recording_id: str, error: AgentError | OSError, delay: float
    ) -> None:
        self.failures += 1
        self._log.error(
            "storing_failed",
            recording_id=recording_id,
            reason=str(error),
            pending=self.pending,
            retry_in=round(delay, 1),
        )

    async def _store_and_count(self, recording_id: str) -> None:
        await self.store(recording_id)
        self.stored += 1

    async def store(self, recording_id: str) -> None:
        """Store one sealed recording everywhere, tell, and purge it.

        Raises AgentError or OSError; what was done until then stays done.
        """
        if await asyncio.to_thread(self._spool.is_sealed, recording_id):
            objects = await self._objects_of(recording_id)
            for target in self._targets:
                for sealed in objects:
                    locked = sealed.target == "locked"
                    backend = target.locked if locked else target.state
                    path = self._spool.sealed_path(recording_id, sealed.file)
                    await store_object(backend, sealed, path)
            await self._on_stored(recording_id)
            await asyncio.to_thread(self._spool.purge, recording_id)
        # Else an attempt before this one failed after its purge.
        await self._on_purged(recording_id)

    async def _as_sealed(self, recording_id: str) -> Sequence[SealedObject]:
        return await asyncio.to_thread(self._spool.sealed_objects, recording_id)

    async def ensure_notice(self, digest: str, data: bytes) -> None:
        """Keep a notice as evidence beside the recordings it is named in."""
        sealed = SealedObject(
            file="", target="locked", key=f"notices/{digest}.wav", sha256=digest,
            size=len(data),
        )  # fmt: skip
        for target in self._targets:
            for failures in itertools.count(1):
                try:
                    await store_object(target.locked, sealed, data)
                    break
                except (StorageError, OSError) as error:
                    self._log.warning("notice_not_kept", reason=str(error))
                await asyncio.sleep(self._delay(failures))


async def store_object(
    backend: StorageBackend, sealed: SealedObject, source: Path | bytes
) -> None:
    """Put one object, and know that storage has it.

    An object that is there already must be the same one: an earlier attempt's. Raises
    ObjectExistsError if it is another, ObjectDamagedError if what was just put is not
    what storage holds, StorageError.
    """
    try:
        await backend.put(sealed.key, source, sha256=sealed.sha256)
    except ObjectExistsError as error:
        if not await backend.holds(sealed.key, sha256=sealed.sha256, size=sealed.size):
            raise ObjectExistsError(f"{sealed.key} holds other bytes.") from error
