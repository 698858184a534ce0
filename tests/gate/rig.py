"""A gate on storage in memory, with recordings of two officers, driven over ASGI."""

import functools
import hashlib
import os
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, cast

import httpx

from agent.archive.audit_log import AuditLog
from agent.archive.audit_verification import read_rows
from agent.archive.documents import SignedDocuments
from agent.archive.keyring import Keyring
from agent.archive.states import States
from agent.archive.store import Archive
from agent.archive.tombstones import Erased
from agent.archive.witness import Witness
from agent.common.ids import new_id
from agent.formats.age import Identity, KeyKind, generate_identity, parse_recipient
from agent.formats.audit import Row
from agent.formats.blind_index import blind
from agent.formats.day_keys import DayKey
from agent.formats.envelope import SegmentKey, wrap
from agent.formats.layout import HELSINKI, envelope_key, index_key, month_of
from agent.formats.roster import GateEntry, Role, Roster
from agent.gate.app import make_app
from agent.gate.limits import Counted, Limit, Limits
from agent.gate.parts import Parts
from agent.upload.backend import StorageBackend
from agent.upload.backends.memory import MemoryBackend
from tests.formats.rosters import person, recipient, roster, spki

TODAY: Final = date(2026, 11, 29)
DAY: Final = date(2026, 11, 23)
CALLER: Final = "+358401234567"
OTHER_CALLER: Final = "+358409999999"
WIDE: Final = {what: Limit(refuse=10_000, alarm=10_000) for what in Counted}
PEOPLE: Final = (
    person("quinn", Role.QUALITY, approver=True),
    person("otso", Role.OFFICER, numbers=("201", "+358295000201")),
    person("lumi", Role.OFFICER, numbers=("202",), until="2026-11-22"),
    person("meri", Role.OFFICER, numbers=("202",), since="2026-11-23"),
    person("adam", Role.ADMIN, recipient="", approver=True),
    person("cara", Role.CASE_HANDLER, approver=True),
    person("dan", Role.DPO, recipient=""),
)


def opener(name: str) -> Identity:
    """The secret half of `recipient(name)`."""
    seed = hashlib.sha256(name.encode()).digest()
    return generate_identity(KeyKind.CLASSIC, lambda size: seed[:size])


class Clock:
    """UTC nanoseconds that tests move."""

    def __init__(self, today: date = TODAY) -> None:
        noon = datetime.combine(today, time(12), HELSINKI)
        self.now = int(noon.timestamp()) * 1_000_000_000

    def __call__(self) -> int:
        return self.now

    def ahead(self, by: timedelta) -> None:
        self.now += int(by.total_seconds()) * 1_000_000_000

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now / 1e9, UTC)


class Current:
    """Stands for the parts of the rig at hand: an application takes long to build."""

    parts: Parts

    def __getattr__(self, name: str) -> Any:
        return getattr(self.parts, name)


class NoErasing:
    """For tests of everything else."""

    def __init__(self, *_: object) -> None: ...


CURRENT: Final = Current()


@functools.cache
def shared_app() -> Any:
    """The application of every rig that erases nothing."""
    return make_app(cast("Parts", CURRENT), NoErasing)


@dataclass
class Rig:
    parts: Parts
    app: Any
    clock: Clock
    witness: Witness
    documents: SignedDocuments
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def as_(self, name: str) -> httpx.AsyncClient:
        """A client with a person's certificate."""
        if name not in self.clients:

            async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
                await self.app({**scope, "state": {"spki": spki(name)}}, receive, send)

            self.clients[name] = httpx.AsyncClient(
                transport=httpx.ASGITransport(with_certificate),
                base_url="https://gate.test",
            )
        return self.clients[name]

    async def store(
        self,
        officer: str = "201",
        caller: str = CALLER,
        day: date = DAY,
        readers: tuple[str, ...] = ("quinn", "otso", "recovery"),
    ) -> str:
        """Store a recording's envelope and its index, as a host does; its id."""
        made = new_id()
        keyring, state = self.parts.keyring, self.parts.archive.state
        inner = inner_envelope(readers)
        if not keyring.day_identities(day):
            await keyring.new_generation(day)
        key = str(keyring.day_identities(day)[0].recipient())
        day_key = DayKey(day=str(day), generation=1, recipient=key)
        outer = wrap(inner, made, day_key, os.urandom)
        month = keyring.index_key(month_of(day))
        await state.put(envelope_key(day, made), outer)
        for domain, number in (("caller", caller), ("officer", officer)):
            named = blind(month, domain, number)  # type: ignore[arg-type]
            name = index_key(month_of(day), domain, named, made)  # type: ignore[arg-type]
            await state.put(name, b"")
        return made

    async def rows(self) -> list[Row]:
        """What the log says, read back and verified."""
        return [
            row
            async for row in read_rows(
                self.parts.archive.locked, "gate", self.parts.roster().gate_keys()
            )
        ]

    async def release(self, name: str, id_: str, **more: str) -> httpx.Response:
        body = {"id": id_, "purpose": "quality", **more}
        return await self.as_(name).post("/releases", json=body)


def inner_envelope(readers: tuple[str, ...] = ("quinn", "recovery")) -> bytes:
    segment = SegmentKey.generate(KeyKind.CLASSIC, os.urandom)
    recipients = [parse_recipient(recipient(name)) for name in readers]
    return segment.seal(recipients, os.urandom)


def envelope_of(answer: httpx.Response) -> bytes:
    return b64decode(answer.json()["envelope"])


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    limits: dict[Counted, Limit] = WIDE,
    locked: StorageBackend | None = None,
    state: StorageBackend | None = None,
    erasing: Any = NoErasing,
    people: Any = PEOPLE,
) -> AsyncIterator[Rig]:
    clock = Clock()
    gate = generate_identity(KeyKind.CLASSIC, os.urandom)
    keyring = await Keyring.create(folder / "ring", [gate], kind=KeyKind.CLASSIC)
    locked = locked or MemoryBackend(clock=clock)
    state = state or MemoryBackend(clock=clock)
    archive = Archive(locked, state, clock=clock)
    witness = Witness()
    key = keyring.signing_key
    log = AuditLog(locked, "gate", key, clock, follow=witness.take)
    await log.start()
    known: Roster = roster(people=people, gate=(GateEntry(key=str(key.public)),))
    documents = SignedDocuments(key, known.gate_keys)
    parts = Parts(
        name="gate",
        archive=archive,
        states=States(state, documents, witness),
        erased=Erased(archive),
        log=log,
        keyring=keyring,
        roster=lambda: known,
        witness=witness,
        limits=Limits(limits),
        clock=clock,
        monotonic=lambda: clock.now / 1e9,
    )
    CURRENT.parts = parts
    app = shared_app() if erasing is NoErasing else make_app(parts, erasing)
    rig = Rig(parts, app, clock, witness, documents)
    try:
        yield rig
    finally:
        for client in rig.clients.values():
            await client.aclose()
        await log.close()
        keyring.close()


async def rewrapped(rig: Rig, held: str, inner: bytes, key: Identity) -> None:
    """Put an envelope under another key of the gate's, as the sweep does."""
    day = DayKey(day=str(DAY), generation=1, recipient=str(key.recipient()))
    outer = wrap(inner, held, day, os.urandom)
    await rig.parts.archive.state.replace(envelope_key(DAY, held), outer)
