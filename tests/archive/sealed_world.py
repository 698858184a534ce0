"""Recordings as hosts store them: sealed, chained, indexed; in memory."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from agent.archive.store import Archive
from agent.common.ids import new_id
from agent.formats.age import KeyKind
from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.roster import Host, Role, Roster
from agent.formats.seal import Addressees
from agent.formats.sshsig import SigningKey
from agent.recording.dispatch import Dispatch
from agent.recording.finisher import finish, salvage
from agent.recording.seal_chain import SealChain
from agent.recording.spool import Spool
from agent.upload.backends.memory import MemoryBackend
from agent.upload.targets import Target
from agent.upload.uploader import Uploader
from tests.formats.rosters import person, roster, signing_key
from tests.recording.segments import STARTED_AT, Segment, quality, write_segment

HOST = "host-a"
INDEX = IndexKeys({"2026-11": month_key(bytes(32), "2026-11")})
NOW = STARTED_AT + 60_000_000_000


def people(kind: KeyKind = KeyKind.CLASSIC) -> Roster:
    """A roster in which the quality key of tests is somebody's."""
    recipient = str(quality(kind).identity.recipient())
    return roster(
        people=(person("quinn", Role.QUALITY, recipient=recipient),),
        hosts=(
            Host(name=HOST, key=str(signing_key(HOST).public)),
            Host(name="host-b", key=str(signing_key("host-b").public)),
        ),
    )


async def _nothing(_: str) -> None:
    return


class World:
    """One host, and the storage it puts its recordings into."""

    def __init__(
        self, root: Path, *, host: str = HOST, key: SigningKey | None = None
    ) -> None:
        self.spool = Spool(root)
        self.spool.prepare()
        self.locked, self.state = MemoryBackend(), MemoryBackend()
        self.target = Target(self.locked, self.state)
        chain = SealChain(
            self.spool,
            key or signing_key(host),
            host,
            new_id=new_id,
            utc_ns=lambda: NOW,
        )
        chain.open()
        dispatch = Dispatch(self.spool, chain=chain, utc_ns=lambda: NOW)
        self.uploader = Uploader(
            self.spool,
            [self.target],
            on_stored=_nothing,
            on_purged=_nothing,
            objects_of=dispatch.objects,
        )

    @property
    def archive(self) -> Archive:
        return Archive(self.locked, self.state, clock=lambda: NOW)

    @property
    def objects(self) -> dict[str, bytes]:
        return self.locked.objects | self.state.objects

    def record(
        self,
        *,
        frames: int = 10,
        kind: KeyKind = KeyKind.CLASSIC,
        dies: bool = False,
        readers: Sequence[str] = (),
        signs: bool = True,
    ) -> Segment:
        """One call, until it is stored; `readers` are others it is sealed to."""
        segment = write_segment(self.spool, frames=frames, kind=kind, whole=not dies)
        if signs:
            names = [str(quality(kind).identity.recipient()), *readers]
            said = Addressees.of(segment.key.recipient, names).to_bytes()
            self.spool.addressees_path(segment.id).write_bytes(said)
        if dies:
            for journal in self.spool.journals_of(segment.id):
                os.utime(journal, ns=(0, NOW))
            salvage(segment.id, self.spool, indexed=True)
        else:
            finish(segment.job(self.spool), self.spool.root, index=INDEX)
        return segment

    async def store(self) -> None:
        """Upload all that waits, in the order in which it was sealed."""
        for recording_id in self.spool.list_sealed():
            await self.uploader.store(recording_id)

    def record_and_store(self, count: int = 1) -> list[Segment]:
        segments = []
        for _ in range(count):
            segments.append(self.record())
            asyncio.run(self.store())
        return segments

    def place(self, key: str) -> dict[str, bytes]:
        """The backend's objects that `key` is among."""
        place = self.locked.objects
        return place if key in place else self.state.objects

    def key_of(self, segment: Segment, suffix: str) -> str:
        """The name of one of a recording's objects."""
        [key] = [k for k in self.objects if k.endswith(f"/{segment.id}.{suffix}")]
        return key
