"""The finisher: journals → `<id>.wav.age` and `<id>.json.age`, in processes aside.

Never plaintext on disk: the track goes chunk by chunk from the journal's blocks
through age into the sealed file. The work directory becomes the sealed recording by
one rename, so that a finisher killed at any moment has done either all or nothing.
"""

import asyncio
import functools
import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from agent.common.errors import AgentError
from agent.formats.age import Encryptor, parse_recipient
from agent.formats.envelope import SegmentKey
from agent.formats.journal import peek_header
from agent.formats.manifest import Manifest
from agent.model.recording import SegmentEnd
from agent.recording.assembly import assemble, digest
from agent.recording.spool import SealedObject, Spool

NICE: Final = 10
"Below everything that carries a live call."
JOBS_PER_PROCESS: Final = 500
"Then a fresh process: what one long recording took is given back."
HELSINKI: Final = ZoneInfo("Europe/Helsinki")


class FinisherError(AgentError):
    """A recording could not be finished; its journal is untouched."""

    permanent = False
    hint = "Check the spool's free space; it is tried again."


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJob:
    """One closed segment."""

    recording_id: str
    journals: tuple[Path, ...]
    journal_key: bytes = field(repr=False)
    recipient: str
    end: SegmentEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What is known of a sealed recording without opening it; nothing personal."""

    recording_id: str
    outcome: str
    duration_ms: int
    size: int
    lost: int


class FinisherPool:
    """Runs `finish` in low-priority processes; survives their death."""

    def __init__(self, spool: Spool, *, workers: int = 0) -> None:
        self._spool = spool
        self._workers = workers or 1
        self._pool: ProcessPoolExecutor | None = None

    async def start(self) -> None:
        """Start a process, so that the first call finds it warm."""
        self._pool = self._new_pool()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, os.getpid)

    async def close(self) -> None:
        """End the processes; what they had not finished is finished at next start."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    async def finish(self, job: FinishJob) -> Finished:
        """Finish one segment. Raises AgentError or OSError; then nothing changed."""
        for attempt in range(2):
            if self._pool is None:
                raise FinisherError("the finishers are stopped.")
            pool = self._pool
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(
                    pool, functools.partial(finish, job, self._spool.root)
                )
            except BrokenProcessPool as error:
                if self._pool is pool:
                    pool.shutdown(wait=False)
                    self._pool = self._new_pool()
                if attempt:
                    raise FinisherError("a finisher died twice.") from error
        raise AssertionError  # the loop returns or raises

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_be_humble,
            max_tasks_per_child=JOBS_PER_PROCESS,
        )


def _be_humble() -> None:
    os.nice(NICE)


def finish(job: FinishJob, root: Path) -> Finished:
    """Seal one segment in the spool at `root` and forget its journals.

    Raises JournalError, AssemblyError, AgeError, OSError.
    """
    spool = Spool(root)
    work = spool.begin_work(job.recording_id)
    recipient = parse_recipient(job.recipient)
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in job.journals]
        assembled = assemble([file.read for file in files], job.journal_key, job.end)
    plain = hashlib.sha256()
    size = 0

    def tee() -> Iterable[bytes]:
        nonlocal size
        for chunk in assembled.wav():
            plain.update(chunk)
            size += len(chunk)
            yield chunk

    identity = job.recording_id
    audio = _seal(
        work / f"{identity}.wav.age", tee(), Encryptor([recipient], os.urandom)
    )
    manifest = assembled.manifest(plain.hexdigest(), size)
    facts = _seal(
        work / f"{identity}.json.age",
        [manifest.to_bytes()],
        Encryptor([recipient], os.urandom),
    )
    envelope = spool.envelope_path(identity).read_bytes()
    key = _write(work / f"{identity}.key.age", [envelope])
    day = _day(assembled.end.ended_at)
    # The envelope first: audio that nobody can open would be no recording.
    objects = [
        _object(f"{identity}.key.age", "keys", day, key),
        _object(f"{identity}.wav.age", "audio", day, audio),
        _object(f"{identity}.json.age", "manifest", day, facts),
    ]
    spool.commit_sealed(identity, work, objects)
    spool.forget_sources(identity)
    return Finished(
        recording_id=identity,
        outcome=manifest.outcome,
        duration_ms=manifest.audio.duration_ms,
        size=audio[1],
        lost=sum(leg.lost for leg in manifest.legs),
    )


def salvage(recording_id: str, spool: Spool) -> None:
    """Seal a dead run's journals and envelope as they are: their key is not here.

    The day they are filed under is that of the journal's last write. Raises OSError.
    """
    journals = spool.journals_of(recording_id)
    ended = max(path.stat().st_mtime_ns for path in journals)
    day = _day(ended)
    work = spool.begin_work(recording_id)
    objects = []
    for path, folder in (
        (spool.envelope_path(recording_id), "keys"),
        *((journal, "audio") for journal in journals),
    ):
        # Copied, not moved: until the rename of the directory nothing is taken away.
        found = _write(work / path.name, _pieces(path))
        objects.append(_object(path.name, folder, day, found))
    spool.commit_sealed(recording_id, work, objects)
    spool.forget_sources(recording_id)


def finish_to_wav(journals: Sequence[bytes], key: SegmentKey) -> tuple[bytes, Manifest]:
    """A dead host's journals → WAV file and manifest, where the key is.

    `journals` are whole files in the order of their epochs. Raises JournalError,
    AssemblyError.
    """
    recording_id = peek_header(journals[0]).recording_id
    readers: list[Callable[[int], bytes]] = [io.BytesIO(data).read for data in journals]
    assembled = assemble(readers, key.journal_key(recording_id))
    wav = b"".join(assembled.wav())
    return wav, assembled.manifest(*digest(iter([wav])))


def _object(name: str, folder: str, day: str, found: tuple[str, int]) -> SealedObject:
    """Where a file goes (the object layout), with its digest and size."""
    return SealedObject(
        file=name,
        target="state" if folder == "keys" else "locked",
        key=f"{folder}/{day}/{name}",
        sha256=found[0],
        size=found[1],
    )


def _seal(path: Path, chunks: Iterable[bytes], encryptor: Encryptor) -> tuple[str, int]:
    def sealed() -> Iterable[bytes]:
        yield encryptor.header()
        for chunk in chunks:
            yield encryptor.update(chunk)
        yield encryptor.finish()

    return _write(path, sealed())


def _write(path: Path, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write a new file durably; its SHA-256 and size."""
    state, size = hashlib.sha256(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            state.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return state.hexdigest(), size


def _pieces(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def _day(utc_ns: int) -> str:
    """The local day a recording's year counts from, as a path."""
    return datetime.fromtimestamp(utc_ns / 1e9, tz=HELSINKI).strftime("%Y/%m/%d")
