"""The uploader: sealed recordings → storage, verified → local copy purged.

The queue is the spool's `sealed` directory; whether an object is stored is asked of
the storage, never remembered. After a restart it goes on where the storages say. Each
storage has a line of its own: one that is away holds up no other, and the local copy
goes when all of them have it.
"""

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.recording.spool import SealedObject, Spool
from agent.upload.backend import (
    ObjectExistsError,
    ObjectMissingError,
    StorageBackend,
    StorageDeniedError,
)
from agent.upload.retry import delay_after
from agent.upload.target_line import TargetLine
from agent.upload.targets import Target

UNDER_WAY: Final = 12 * 3600.0
"""Seconds that one attempt may take. The day's key that an envelope is within may be
destroyed a day after it was looked up: by then it is there, or is made ready anew."""


@dataclass(slots=True)
class _Waiting:
    """A recording that not all storages are known to have; thousands may wait."""

    tried: bool = False
    "Whether some of it may be stored already: then storage is asked first."
    got: frozenset[TargetLine] = frozenset()
    "Who has all of it."
    preparing: asyncio.Lock | None = None


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
        """`objects_of` makes a sealed recording ready to leave: what goes where.

        It is not asked twice at once about one recording.
        """
        self._spool = spool
        self._objects_of = objects_of or self._as_sealed
        self._on_stored = on_stored
        self._on_purged = on_purged
        self._rng = rng or random.Random(os.urandom(8))  # noqa: S311 - jitter
        self.lines = tuple(
            TargetLine(target, self._attempt, self._rng) for target in targets
        )
        "What waits for each storage."
        self._waiting: dict[str, _Waiting] = {}
        self._notified = itertools.count()
        self._log = structlog.get_logger()
        self.stored = 0
        "Recordings stored since start."

    @property
    def pending(self) -> int:
        """Recordings sealed and not yet stored everywhere."""
        return len(self._waiting)

    @property
    def away(self) -> bool:
        """Whether a storage failed when it was last asked."""
        return any(line.away for line in self.lines)

    @property
    def failures(self) -> int:
        """Attempts that failed since start."""
        return sum(line.failures for line in self.lines)

    def waiting_since(self, line: TargetLine | None = None) -> int | None:
        """When what waits longest was sealed, in nanoseconds since the Unix epoch.

        Of one storage's line, or of all. None if nothing waits.
        """
        waiting: Iterable[str] = self._waiting if line is None else line
        for recording_id in waiting:  # in the order in which they were sealed
            with contextlib.suppress(FileNotFoundError):  # purged this very moment
                return self._spool.sealed_at(recording_id)
        return None

    def doubt(self, target: Target) -> None:
        """A storage did not take what a start brings to it."""
        for line in self.lines:
            if line.target is target:
                line.doubt()

    def notify(self, recording_id: str) -> None:
        """A recording has been sealed."""
        self._add(recording_id, tried=False)

    async def run(self) -> None:
        """Store what waits and what comes, for ever, the oldest first."""
        for recording_id in await asyncio.to_thread(self._spool.list_sealed):
            self._add(recording_id, tried=True)
        async with asyncio.TaskGroup() as group:
            for line in self.lines:
                group.create_task(line.run(), name=f"upload-{line.target.name}")

    def _add(self, recording_id: str, *, tried: bool) -> None:
        if recording_id in self._waiting:
            return
        self._waiting[recording_id] = _Waiting(tried)
        age = next(self._notified)
        for line in self.lines:
            line.add(recording_id, age)

    async def store(self, recording_id: str) -> None:
        """Store one sealed recording everywhere, tell, and purge it.

        Raises AgentError or OSError; what was done until then stays done.
        """
        self._waiting.setdefault(recording_id, _Waiting())
        for line in self.lines:
            if recording_id in self._waiting:
                await self._attempt(line, recording_id)

    async def _attempt(self, line: TargetLine, recording_id: str) -> None:
        """Bring it to one storage; the last one to get it tells, and purges it."""
        one = self._waiting[recording_id]
        if line not in one.got:
            tried, one.tried = one.tried, True
            await self._bring(line.target, recording_id, one, tried=tried)
            one.got |= {line}
            line.took()
        if len(one.got) == len(self.lines):
            await self._finish(recording_id)

    async def _bring(
        self, target: Target, recording_id: str, one: _Waiting, *, tried: bool
    ) -> None:
        if not await asyncio.to_thread(self._spool.is_sealed, recording_id):
            return  # an attempt before this one failed after its purge
        one.preparing = one.preparing or asyncio.Lock()
        async with asyncio.timeout(UNDER_WAY):
            async with one.preparing:
                objects = await self._objects_of(recording_id)
            for sealed in objects:
                backend = target.locked if sealed.target == "locked" else target.state
                path = self._spool.sealed_path(recording_id, sealed.file)
                await store_object(backend, sealed, path, ask_first=tried)

    async def _finish(self, recording_id: str) -> None:
        if await asyncio.to_thread(self._spool.is_sealed, recording_id):
            await self._on_stored(recording_id)
            await asyncio.to_thread(self._spool.purge, recording_id)
        await self._on_purged(recording_id)
        del self._waiting[recording_id]
        self.stored += 1

    async def _as_sealed(self, recording_id: str) -> Sequence[SealedObject]:
        return await asyncio.to_thread(self._spool.sealed_objects, recording_id)

    async def ensure_notice(self, digest: str, data: bytes) -> None:
        """Keep a notice as evidence beside the recordings it is named in."""
        sealed = SealedObject(
            file="", target="locked", key=f"notices/{digest}.wav", sha256=digest,
            size=len(data),
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            for line in self.lines:
                group.create_task(self._ensure(line, sealed, data))

    async def _ensure(
        self, line: TargetLine, sealed: SealedObject, data: bytes
    ) -> None:
        target = line.target
        for failures in itertools.count(1):
            try:
                await store_object(target.locked, sealed, data, ask_first=True)
            except (AgentError, OSError) as error:
                self._log.warning(
                    "notice_not_kept", storage=target.name, reason=str(error)
                )
            else:
                line.took()
                return
            await asyncio.sleep(delay_after(failures, self._rng))


async def store_object(
    backend: StorageBackend,
    sealed: SealedObject,
    source: Path | bytes,
    *,
    ask_first: bool = False,
) -> None:
    """Put one object, and know that storage has it.

    An object that is there already must be the same one: an earlier attempt's. Raises
    ObjectExistsError if it is another, ObjectDamagedError if what was just put is not
    what storage holds, StorageError.
    """
    if ask_first:
        # Where it is missing, who may not list what is there is told that it is denied.
        with contextlib.suppress(ObjectMissingError, StorageDeniedError):
            if await backend.holds(sealed.key, sha256=sealed.sha256, size=sealed.size):
                return
    try:
        await backend.put(sealed.key, source, sha256=sealed.sha256)
    except ObjectExistsError as error:
        if not await backend.holds(sealed.key, sha256=sealed.sha256, size=sealed.size):
            raise ObjectExistsError(f"{sealed.key} holds other bytes.") from error
