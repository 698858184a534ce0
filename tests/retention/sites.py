"""A site with two storages in memory, a gate's keyring, and recordings in it."""

import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from agent.archive.audit_log import AuditLog
from agent.archive.documents import PLAIN, SignedDocuments
from agent.archive.keyring import Keyring
from agent.archive.record_state import Hold, HoldKind
from agent.archive.states import States
from agent.archive.store import Archive
from agent.formats.age import AgeError, Identity, KeyKind, generate_identity
from agent.formats.audit import Row, open_page
from agent.formats.envelope import SegmentKey, open_envelope, unwrap, wrap
from agent.formats.layout import (
    Folder,
    annotation_key,
    dated,
    envelope_key,
    index_key,
    manifest_key,
    month_of,
    seal_key,
)
from agent.formats.seal import FIRST, SealedFile, Statement, sign_seal
from agent.formats.sshsig import SigningKey
from agent.retention.clock_check import SKEW
from agent.retention.erasure import Erasure, Outcome
from agent.retention.policy import Period, Policy, next_day, start_of_day
from agent.retention.site import Place, Site
from agent.retention.sweep import Sweep
from agent.upload.backend import StorageBackend
from agent.upload.backends.memory import MemoryBackend

GATE_KEY = SigningKey.from_seed(b"g" * 32)
HOST_KEY = SigningKey.from_seed(b"h" * 32)
MEMBER = generate_identity(KeyKind.CLASSIC, os.urandom)
"A quality member, who may open every recording."
CHAIN = "00000000-0000-4000-8000-00000000000c"
YEAR = Policy(Period.parse("P1Y"))
DAY = date(2026, 11, 23)
HELD = Hold(
    kind=HoldKind.LEGAL_CLAIM, owner="p-7", since=date(2027, 11, 1),
    review=date(2028, 1, 1),
)  # fmt: skip
HOUR_NS = 3600 * 10**9
LISTS_NS = 72 * HOUR_NS
"From a new key at the beginning of a day until no list from before it counts."
DUE_NS = YEAR.erasable_from(DAY)


class Clock:
    """A clock that a test sets; the storages', too."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class KilledError(Exception):
    """The process ends here, as far as storage can tell."""


class Killer:
    """Ends the process at one of its steps: those that change anything."""

    def __init__(self) -> None:
        self.left = -1

    def __call__(self, operation: str, key: str) -> None:
        self.left -= operation in {"put", "put done", "replace", "delete", "keep"}
        if self.left == 0:
            raise KilledError


@dataclass
class Built:
    """A site, and what a test wants of it."""

    site: Site
    clock: Clock
    log: AuditLog
    keyring: Keyring | None
    backends: list[tuple[MemoryBackend, MemoryBackend]] = field(repr=False)
    "Of each place: locked, state."
    skew: float = SKEW
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def sweep(self, *, wait: float = 3600.0) -> Sweep:
        return Sweep(self.site, YEAR, wait=wait, skew=self.skew)

    async def erase_early(self, *ids: str, reference: str = "") -> Outcome:
        """Erase recordings of long ago, to the end."""
        erasure = Erasure(self.site)
        records = {one: [DAY] for one in ids}
        begun = await erasure.begin(
            records, "private-call", self.clock(), reference=reference
        )
        assert begun.pending.keys() == records.keys()
        self.clock.now_ns += LISTS_NS
        return await erasure.run(self.clock())

    async def restarted(self) -> "Built":
        """The same storage, with another process's log and states."""
        log = AuditLog(self.backends[0][0], "gate", GATE_KEY, self.clock)
        await log.start()
        states = States(self.backends[0][1], self.site.documents)
        return replace(self, site=replace(self.site, log=log, states=states), log=log)

    async def record(self, day: date = DAY) -> str:
        """One recording of a day, in every place."""
        number = next(self.ids)
        recording_id = f"00000000-0000-4000-8000-{number:012x}"
        objects = self.objects(recording_id, day)
        for place in self.site.places:
            for key, data in objects.items():
                await place.backend(Folder(key.partition("/")[0])).put(key, data)
        return recording_id

    def objects(self, recording_id: str, day: date = DAY) -> dict[str, bytes]:
        month = month_of(day)
        segment = SegmentKey.generate(KeyKind.CLASSIC, os.urandom)
        envelope = segment.seal([MEMBER.recipient()], os.urandom)
        if self.keyring is not None:
            generation = self.keyring.generations(day)[-1]
            key = self.keyring.day_identity(day, generation)
            outer = Outer(str(key.recipient()))
            envelope = wrap(envelope, recording_id, outer, os.urandom)
        audio = dated("audio", day, f"{recording_id}.wav.age")
        seal = Statement(
            id=recording_id, day=day.isoformat(), host="host-a", chain=CHAIN,
            sequence=1, previous=FIRST,
            objects=(SealedFile(key=audio, sha256="a" * 64, size=1),),
            segment_key="", recipients=(), sealed_at="2026-11-23T12:00:00.000Z",
        )  # fmt: skip
        return {
            audio: b"audio",
            manifest_key(day, recording_id): b"manifest",
            seal_key(day, recording_id): sign_seal(seal, HOST_KEY),
            envelope_key(day, recording_id): envelope,
            index_key(month, "caller", "a" * 64, recording_id): b"",
            index_key(month, "officer", "b" * 64, recording_id): b"",
            annotation_key(recording_id, 1): b"said",
        }

    def keys(self) -> set[str]:
        """Every object of every place, but for what tells of erasures."""
        telling = ("audit/", "tombstones/", "state/", "erasures/")
        return {key for key in self.everything() if not key.startswith(telling)}

    def everything(self) -> set[str]:
        """Every object of every place."""
        return {
            key for pair in self.backends for backend in pair for key in backend.objects
        }

    def of(self, recording_id: str) -> set[str]:
        """What is left of a recording, but for what tells of its erasure."""
        return {key for key in self.keys() if recording_id in key}

    def tombstones(self) -> list[set[str]]:
        """Ids that have one, by place."""
        return [
            {key[-41:-5] for key in state.objects if key.startswith("tombstones/")}
            for _, state in self.backends
        ]

    def rows(self) -> list[Row]:
        """The audit log."""
        objects = self.backends[0][0].objects
        return [
            row
            for key in sorted(objects)
            if key.startswith("audit/")
            for row in open_page(objects[key], [GATE_KEY.public]).rows
        ]

    def opens(self, recording_id: str, day: date = DAY, *, place: int = 0) -> bool:
        """Whether gate and member together can open it."""
        outer = self.backends[place][1].objects.get(envelope_key(day, recording_id))
        return outer is not None and self.opens_envelope(outer, recording_id, day)

    def opens_envelope(self, outer: bytes, recording_id: str, day: date = DAY) -> bool:
        identities: list[Identity] = []
        if self.keyring is not None:
            identities += self.keyring.day_identities(day)
            identities += [
                held for one, held in self.keyring._holds.items() if one == recording_id
            ]
        try:
            if self.keyring is not None:
                outer = unwrap(outer, identities, recording_id)
            open_envelope(outer, [MEMBER])
        except AgeError:
            return False
        return True


@dataclass
class Outer:
    recipient: str


Before = Callable[[str, str], None]


@asynccontextmanager
async def built(
    folder: Path,
    *,
    now_ns: int = DUE_NS,
    places: int = 1,
    gate: bool = True,
    days: tuple[date, ...] = (DAY,),
    before: Before | None = None,
    kind: type[MemoryBackend] = MemoryBackend,
    stores: Sequence[tuple[StorageBackend, StorageBackend]] = (),
    skew: float = SKEW,
) -> AsyncIterator[Built]:
    """`before` is what each backend calls first, as MemoryBackend says.

    `stores` are others than in memory, whose clock is not the test's: see `skew`.
    """
    clock = Clock(now_ns)
    backends = [
        (kind(before, clock=clock), kind(before, clock=clock)) for _ in range(places)
    ]
    archives = [Archive(*pair, clock=clock) for pair in stores or backends]
    log = AuditLog(archives[0].locked, "gate", GATE_KEY, clock)
    await log.start()
    keyring = None
    if gate:
        owner = generate_identity(KeyKind.CLASSIC, os.urandom)
        keyring = await Keyring.create(folder / "ring", [owner], kind=KeyKind.CLASSIC)
        for day in days:
            await keyring.generate_until(day, today=day)
    documents = SignedDocuments(GATE_KEY, lambda: [GATE_KEY.public]) if gate else PLAIN
    states = States(archives[0].state, documents)
    site = Site(tuple(Place.of(archives)), states, log, keyring, documents=documents)
    try:
        yield Built(site, clock, log, keyring, backends, skew)
    finally:
        await log.close()
        if keyring is not None:
            keyring.close()


def midnight(day: date, rng: random.Random | None = None) -> int:
    """A moment of a local day, its first or a random one."""
    begins, ends = start_of_day(day), start_of_day(next_day(day))
    return begins if rng is None else rng.randrange(begins, ends)
