"""An uploader over storages in memory, whose every step may fail."""

import asyncio
import random
import time
from collections.abc import Callable
from hashlib import sha256

from agent.common.errors import AgentError
from agent.recording.database import LedgerError
from agent.recording.spool import SealedObject, Spool
from agent.upload.backends.memory import MemoryBackend
from agent.upload.targets import Target
from agent.upload.uploader import Uploader
from tests.patience import PATIENCE

IDS = [f"{n}23e4567-e89b-42d3-a456-426614174000" for n in range(10)]
ONE = IDS[1]


def seal(spool: Spool, recording_id: str) -> dict[str, bytes]:
    """A sealed recording; returns what storage is to hold of it, by key."""
    work = spool.begin_work(recording_id)
    objects, wanted = [], {}
    for kind, folder in (("key.age", "keys"), ("wav.age", "audio")):
        data = f"{kind} of {recording_id}".encode()
        name = f"{recording_id}.{kind}"
        (work / name).write_bytes(data)
        objects.append(
            SealedObject(
                file=name,
                target="state" if folder == "keys" else "locked",
                key=f"{folder}/{name}",
                sha256=sha256(data).hexdigest(),
                size=len(data),
            )
        )
        wanted[f"{folder}/{name}"] = data
    spool.commit_sealed(recording_id, work, objects)
    return wanted


class Storage:
    """One target whose every step is written down and may fail."""

    def __init__(self, name: str = "storage") -> None:
        self.name = name
        self.log: list[str] = []
        self.fail: Callable[[str], AgentError | None] = lambda _step: None
        self.locked = MemoryBackend(lambda *step: self._before("locked", *step))
        self.state = MemoryBackend(lambda *step: self._before("state", *step))

    @property
    def target(self) -> Target:
        return Target(self.locked, self.state, self.name)

    @property
    def objects(self) -> dict[str, bytes]:
        return self.locked.objects | self.state.objects

    def _before(self, place: str, operation: str, key: str) -> None:
        step = f"{place} {operation} {key.partition('/')[0]}"
        self.log.append(step)
        if (error := self.fail(step)) is not None:
            raise error


class Bench:
    """An uploader, and what it told."""

    def __init__(self, spool: Spool, *storages: Storage) -> None:
        self.spool = spool
        self.storages = storages
        self.told: list[str] = []
        self.preparing: set[str] = set()
        self.fail_on: str = ""
        self.waited: list[float] = []
        self.uploader = Uploader(
            spool,
            [storage.target for storage in storages],
            on_stored=self._stored,
            on_purged=self._purged,
            objects_of=self._objects_of,
            rng=random.Random(3),
        )

    async def _tell(self, what: str, recording_id: str) -> None:
        if what == self.fail_on:
            raise LedgerError("the disk is full.")
        self.told.append(f"{what} {IDS.index(recording_id)}")
        for storage in self.storages:
            storage.log.append(what)

    async def _objects_of(self, recording_id: str) -> list[SealedObject]:
        assert recording_id not in self.preparing, "two at once"
        self.preparing.add(recording_id)
        await asyncio.sleep(0)
        self.preparing.remove(recording_id)
        if self.fail_on == "prepare":
            raise LedgerError("the disk is full.")
        return self.spool.sealed_objects(recording_id)

    async def _stored(self, recording_id: str) -> None:
        assert self.spool.is_sealed(recording_id)
        await self._tell("stored", recording_id)

    async def _purged(self, recording_id: str) -> None:
        assert not self.spool.is_sealed(recording_id)
        await self._tell("purged", recording_id)

    async def run_until(self, done: Callable[[], bool]) -> None:
        """Run it; waiting takes no time, and is written down in `waited`."""
        loop, offset = asyncio.get_running_loop(), 0.0
        loop.time = lambda: time.monotonic() + offset  # type: ignore[method-assign]
        task = loop.create_task(self.uploader.run())
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert not task.done(), task.exception()
            assert time.monotonic() < deadline
            # Time passes once nothing is under way, which takes none.
            busy = any(line._queue._busy for line in self.uploader.lines)
            dues = [line._line.deadline() for line in self.uploader.lines]
            due = min((due for due in dues if due is not None), default=0.0)
            if not busy and (wait := due - loop.time()) > 0:
                self.waited.append(wait)
                offset += wait
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
