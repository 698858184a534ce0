"""The whole life of a recorded call's files, in one process and in a known order.

Real are the recorder, tap, journal writer, spool, finisher, ledger, uploader and the
storage's directory. What stands in is the media pool, since a worker is a process of
its own, and the writer's thread, whose orders are carried out at once.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from agent.call import recorder as recorder_module
from agent.call.recorder import Recorder
from agent.call.sealing import Sealing
from agent.common.clock import utc_now, utc_ns
from agent.common.ids import new_id
from agent.common.moments import moment_text
from agent.formats.age import KeyKind, generate_identity
from agent.formats.blind_index import IndexKeys
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.journal import JournalHeader
from agent.formats.layout import day_of
from agent.media.events import RecordingClosed, RecordingOpened
from agent.media.tap import JournalTap, Target as JournalTarget
from agent.media.writer import JournalWriter, Opened
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import Kept, RecordingState
from agent.recording.database import Database
from agent.recording.dispatch import Dispatch
from agent.recording.finisher import Finished, FinishJob, finish
from agent.recording.ledger import CallIntent, Ledger
from agent.recording.recovery import Recovered
from agent.recording.room import SpoolRoom
from agent.recording.seal_chain import SealChain
from agent.recording.spool import Spool
from agent.upload.backends.directory import DirectoryBackend
from agent.upload.targets import Target
from agent.upload.uploader import Uploader
from tests.formats.rosters import signing_key
from tests.power.tape import Tape
from tests.recording.segments import (
    MS,
    START,
    STARTED_AT,
    begin,
    entropy,
    packet,
    quality,
)
from tests.recording.starts import recovered

T = TypeVar("T")
HOST = "host-a"
INDEX = IndexKeys({"2026-11": bytes(32)})
GATE = generate_identity(KeyKind.CLASSIC, entropy)
CALL = "call"
BLOCK = 5
"Frames in a block here: what a block is to a power cut does not hang on its length."


class Site:
    """A host's directories: `disk`, which is on tape, and the ledger beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = root / "disk"
        self.spool = Spool(self.disk / "host" / "spool")
        self.ledger_path = root / "ledger.sqlite"
        self.ledger = self.new_ledger()
        self.chain = self.new_chain()
        self.stored: list[str] = []

    def new_chain(self) -> SealChain:
        """As each start makes it."""
        key = signing_key(HOST)
        return SealChain(self.spool, key, HOST, new_id=new_id, utc_ns=utc_ns)

    def prepare(self) -> None:
        """As each start begins."""
        self.spool.prepare()
        self.chain = self.new_chain()
        self.chain.open()

    def new_ledger(self) -> Ledger:
        """As each start makes it."""
        return Ledger(self.ledger_path, hash_key=b"h", reserve_bytes=0)

    def make_storage(self) -> None:
        """What an operator has made before the daemon is there."""
        for name in ("host", "locked", "state"):
            (self.disk / name).mkdir(parents=True)

    def uploader(self) -> Uploader:
        """As the service makes it."""

        async def stored(recording_id: str) -> None:
            await self.ledger.advance(recording_id, RecordingState.STORED)
            self.stored.append(recording_id)

        async def purged(recording_id: str) -> None:
            await self.ledger.advance(recording_id, RecordingState.PURGED)

        dispatch = Dispatch(
            self.spool, chain=self.chain, day_keys=day_keys(), utc_ns=utc_ns
        )
        return Uploader(
            self.spool,
            [self.target],
            on_stored=stored,
            on_purged=purged,
            objects_of=dispatch.objects,
        )

    @property
    def target(self) -> Target:
        """Central storage."""
        locked, state = (
            DirectoryBackend(self.disk / name) for name in ("locked", "state")
        )
        return Target(locked, state)

    async def start_again(self) -> list[Recovered]:
        """A start after a power cut, until all that was left is stored."""
        self.prepare()
        self.ledger = self.new_ledger()
        await self.ledger.start()
        try:
            found = await recovered(self.spool, self.ledger, indexed=True)
            uploader = self.uploader()
            for recording_id in self.spool.list_sealed():
                await uploader.store(recording_id)
        finally:
            await self.ledger.close()
            self.spool.close()
        return found


def day_keys() -> DayKeyList:
    """One for the day of the call, and for those on which starts may salvage it."""
    today = day_of(utc_ns())
    days = {day_of(STARTED_AT), *(today + timedelta(n) for n in (-1, 0, 1))}
    recipient = str(GATE.recipient())
    keys = [
        DayKey(day=day.isoformat(), generation=1, recipient=recipient)
        for day in sorted(days)
    ]
    return DayKeyList(serial=1, issued=moment_text(utc_now()), keys=tuple(keys))


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it, without the loop's own checks, which cost more than all the rest."""
    return asyncio.run(coroutine, debug=False)


def ledger_on(tape: Tape) -> Any:
    """Has each commit of any ledger on tape."""
    transact = Database._transact

    def act(self: Database, db: Any, batch: Any) -> list[object]:
        results = transact(self, db, batch)
        tape.commit(db.serialize())
        return results

    return mock.patch.object(Database, "_transact", act)


class PromptWriter(JournalWriter):
    """Carries out each order where it is given."""

    def _put(self, order: Any) -> None:
        self._carry_out(order)

    def sync(self) -> None:
        """As at each interval."""
        self._sync()


class Media:
    """The part of a media pool that a recorder needs, and a worker within it."""

    workers_up = 1

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.writer = PromptWriter(fsync_interval=1.0, notify=lambda: None)
        self.tap: JournalTap | None = None
        self._begun: tuple[Any, ...] = ()
        self._epoch = 0

    def connect(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start_recording(
        self,
        recording: str,
        *,
        journal_key: bytes,
        key_id: bytes,
        begin: bytes,
        **_: Any,
    ) -> None:
        self._begun = recording, journal_key, key_id, begin
        self._open_tap()

    def _open_tap(self) -> None:
        recording, journal_key, key_id, note = self._begun
        header = JournalHeader(
            recording_id=recording,
            epoch=self._epoch,
            key_id=key_id,
            salt=entropy(32),
            utc_ns=STARTED_AT,
            monotonic_ns=START,
        )
        path = self._directory / f"{recording}.{self._epoch}.journal"
        target = JournalTarget(header=header, journal_key=journal_key, path=path)
        self.tap = JournalTap(target, self.writer, self._failed, START)
        self.tap.begin([note], START)

    def _failed(self, reason: str) -> None:
        raise AssertionError(reason)

    def grant_journal(self, recording: str) -> None:
        assert self.tap is not None
        self.tap.grant()
        [opened] = [r for r in self.writer.results if isinstance(r, Opened)]
        self.writer.results.clear()
        assert opened.journal == recording
        self._recorder.opened(
            RecordingOpened(recording=recording, path=str(self.tap.path))
        )

    def die(self) -> None:
        """The worker dies, and another goes on in a journal of its own."""
        recording = self._begun[0]
        self.writer._files.clear()
        self._recorder.interrupted(recording)
        self._epoch += 1
        self._open_tap()
        self.grant_journal(recording)

    def stop_recording(self, recording: str, end: bytes) -> None:
        assert self.tap is not None
        self.tap.end(end, START)
        event = RecordingClosed(
            recording=recording, path="", packets=0, blocks=0, bytes=0
        )
        asyncio.get_running_loop().call_soon(self._recorder.closed, event)


class Finishers:
    """Finishes in this process."""

    workers = 1

    def __init__(self, spool: Spool, kept: Kept) -> None:
        self._spool, self._kept = spool, kept

    async def finish(self, job: FinishJob) -> Finished:
        return finish(job, self._spool.root, self._kept, INDEX)


@dataclass
class Life:
    """What came of a call, and when how much of it was safe."""

    recording_id: str
    frames: int
    epochs: int
    tape: Tape
    safe: list[tuple[int, int]] = field(default_factory=list)
    "(steps done, frames that no power cut may take any more)."
    secrets: tuple[bytes, ...] = ()
    "What must be on no disk."

    def bound(self, steps: int) -> int | None:
        """Frames that are safe after so many steps; None before it was begun."""
        found = [frames for at, frames in self.safe if at <= steps]
        return max(found) if found else None


async def live(root: Path, kept: Kept, *, blocks: int = 4, dies: bool = False) -> Life:
    """Record, seal, store and purge one call, on tape from an empty disk on."""
    site = Site(root)
    site.make_storage()
    tape = Tape(site.disk)
    frames = blocks * BLOCK
    life = Life(new_id(), frames, 1 + dies, tape)
    now: dict[str, Any] = {
        "monotonic_ns": lambda: START + frames * 20 * MS,
        "utc_ns": lambda: STARTED_AT + frames * 20 * MS,
    }
    with tape, ledger_on(tape), mock.patch.multiple(recorder_module, **now):
        site.prepare()
        await site.ledger.start()
        await _record(site, life, kept, blocks=blocks, dies=dies)
        uploader = site.uploader()
        [sealed] = site.spool.list_sealed()
        await uploader.store(sealed)
        await site.ledger.close()
        site.spool.close()
    tape.check()
    return life


async def _record(
    site: Site, life: Life, kept: Kept, *, blocks: int, dies: bool
) -> None:
    media = Media(site.spool.journal_directory)
    sealing = Sealing(
        finishers=Finishers(site.spool, kept),
        ledger=site.ledger,
        uploader=site.uploader(),
    )
    sealing.start()
    opener = quality().identity.recipient()
    recorder = Recorder(
        media=media,  # type: ignore[arg-type]
        spool=site.spool,
        room=SpoolRoom(site.spool.journal_directory, high_water=1.0, min_free=0),
        ledger=site.ledger,
        sealing=sealing,
        quality=lambda: [opener],
        on_failed=_never,
        signs=True,
    )
    media.connect(recorder)
    await site.ledger.begin(
        CallIntent(
            call_id=CALL,
            sip_call_id="x",
            route="r",
            direction=CallDirection.INBOUND,
            begun_utc_ns=utc_ns(),
        )
    )
    segment = recorder.open(
        CALL, begin(life.recording_id), legs=("c", "o"), officers=()
    )
    life.secrets = (segment.journal_key, b"AGE-SECRET-KEY")
    for block in range(blocks):
        assert media.tap is not None
        for number in range(block * BLOCK, (block + 1) * BLOCK):
            for leg in (0, 1):
                media.tap.add(leg, START + number * 20 * MS, packet(leg, number))
        media.tap.ripen()
        media.tap.seal(START)
        if block == 0:
            await recorder.drain(10)  # until the envelope is durable, and it is granted
        if block % 2 == 0:
            media.writer.sync()
            life.safe.append((len(life.tape.steps), (block + 1) * BLOCK))
        elif dies and block == 1:
            media.die()
    recorder.close(segment, EndCause.CALLER_HANGUP)
    life.safe.append((len(life.tape.steps), life.frames))
    assert await recorder.whole(segment) is not dies
    await site.ledger.close_call(
        CALL,
        Outcome.PARTIAL if dies else Outcome.RECORDED,
        ended_utc_ns=utc_ns(),
    )
    await recorder.drain(10)
    await recorder.stop()


def _never(call_id: str, reason: str, kept: object) -> None:
    raise AssertionError(reason)
