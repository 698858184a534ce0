"""The gate's keyring: day keys made ahead and destroyed on time, hold keys, the roots.

Files are read and written in a thread; a key that was once read stays in memory until
it is destroyed. Only the process that holds the folder's lock changes it. Every change
is durable when its method returns, and a dead gate's successor ends what it began.
"""

import asyncio
import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, ParamSpec, Self, TypeVar

from agent.archive.key_files import Destruction, KeyFiles, KeyringError, Kind
from agent.formats.age import (
    Entropy,
    Identity,
    KeyKind,
    generate_identity,
    identity_file,
    open_identity_file,
)
from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.layout import valid_id
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, PublicKey, SigningKey

AHEAD: Final = 60
"Days for which there are keys: so long may hosts record while the gate is down."
BEHIND: Final = 35
"Days back: a host's ledger reaches as far."
ROOT_SIZE: Final = 32
MAX_GENERATIONS: Final = 999
"Of one day's key; each early erasure on that day takes one."
MAX_MONTHS: Final = 100
INDEX_ROOT: Final = "index"
SIGNING_SEED: Final = "signing"
_SEED: Final = re.compile(rf"{SIGNING_SEED}-[1-9][0-9]{{0,5}}", re.ASCII)

P = ParamSpec("P")
T = TypeVar("T")


def read_index_keys(
    folder: Path, identities: Sequence[Identity], months: Iterable[str]
) -> IndexKeys:
    """What a host gets of the index keys, also while a gate has the keyring.

    Blocks on the disk. Raises KeyringError, IndexKeyError.
    """
    root = KeyFiles(folder, identities).read(Kind.ROOT, INDEX_ROOT)
    return IndexKeys({month: month_key(root, month) for month in months})


def copy_keyring(folder: Path, destination: Path) -> int:
    """Copy a keyring's encrypted files into a new folder; returns how many.

    Nothing has to be opened for it, and a gate may be at work: what is destroyed
    meanwhile is left out. Blocks on the disk. Raises KeyringError, FileExistsError.
    """
    return KeyFiles(folder, ()).copy_to(destination)


class Keyring:
    """Opened by `open`; `close` lets another process have it."""

    def __init__(self, files: KeyFiles, kind: KeyKind, entropy: Entropy) -> None:
        self._files = files
        self._kind = kind
        self.entropy = entropy
        self._days: dict[date, dict[int, Identity]] = {}
        self._gone: dict[date, set[int]] = {}
        "Generations of a day that were destroyed: none is ever made again."
        self._holds: dict[str, Identity] = {}
        self._roots: dict[str, bytes] = {}
        self._signs_by = SIGNING_SEED
        self._months: dict[str, bytes] = {}
        "Index keys that were derived: a search asks for two years of them."
        self._changing = asyncio.Lock()

    @classmethod
    async def create(
        cls,
        folder: Path,
        identities: Sequence[Identity],
        *,
        kind: KeyKind = KeyKind.POST_QUANTUM,
        entropy: Entropy = os.urandom,
    ) -> Self:
        """Make an empty keyring with new roots, and open it. Raises KeyringError."""
        files = KeyFiles(folder, identities)
        await asyncio.to_thread(files.make)
        for name in (INDEX_ROOT, SIGNING_SEED):
            root = entropy(ROOT_SIZE)
            await asyncio.to_thread(files.add, Kind.ROOT, name, root, entropy)
        return await cls.open(folder, identities, kind=kind, entropy=entropy)

    @classmethod
    async def open(
        cls,
        folder: Path,
        identities: Sequence[Identity],
        *,
        kind: KeyKind = KeyKind.POST_QUANTUM,
        entropy: Entropy = os.urandom,
    ) -> Self:
        """Open a keyring: every root and day key is read, so that all are proven.

        `identities` are the gate's own; `kind` is that of the keys it will make.
        Raises KeyringError: none is there, it is in use, or a key does not open.
        """
        keyring = cls(KeyFiles(folder, identities), kind, entropy)
        try:
            await asyncio.to_thread(keyring._load)
        except BaseException:
            keyring.close()
            raise
        return keyring

    def close(self) -> None:
        """Let another process have it."""
        self._files.release()

    def days(self) -> list[date]:
        """Days of which a key is held, in order."""
        return sorted(self._days)

    def generations(self, day: date) -> list[int]:
        """Generations of the day's key that are held, oldest first."""
        return sorted(self._days.get(day, ()))

    def day_names(self) -> list[str]:
        """The keys of days that are held: `2026-11-23.1`, day and generation."""
        return [_day_name(day, n) for day in self.days() for n in self.generations(day)]

    def day_identity(self, day: date, generation: int) -> Identity:
        """A day's key. Raises KeyringError: it is not held, or no more."""
        try:
            return self._days[day][generation]
        except KeyError:
            raise KeyringError(
                f"The key {generation} of {day} is not held: it was destroyed, or"
                " never made."
            ) from None

    def day_identities(self, day: date) -> list[Identity]:
        """Every key of the day that is held, newest first: for `unwrap`."""
        held = self._days.get(day, {})
        return [held[generation] for generation in sorted(held, reverse=True)]

    @property
    def signing_key(self) -> SigningKey:
        """The gate's own that it signs by: the roster names its public half."""
        return SigningKey.from_seed(self._roots[self._signs_by])

    @property
    def signing_keys(self) -> list[SigningKey]:
        """All of the gate's own, the newest first."""
        return [SigningKey.from_seed(self._roots[name]) for name in self._seeds()]

    def sign_by(self, trusted: Collection[PublicKey]) -> SigningKey | None:
        """Sign by the newest that the roster names from now on; None: it names none."""
        for name in self._seeds():
            key = SigningKey.from_seed(self._roots[name])
            if key.public in trusted:
                self._signs_by = name
                return key
        return None

    async def new_signing_key(self) -> SigningKey:
        """Make another: it signs once the roster names it. Raises KeyringError."""
        return await self._change(self._make_seed)

    async def reseal(self) -> int:
        """Encrypt every file to the first of the gate's identities; how many there are.

        Raises KeyringError.
        """
        return await self._change(self._files.reseal, self.entropy)

    def sign(self, payload: bytes, namespace: Namespace) -> bytes:
        """One line, and under it the gate's signature."""
        return sign_document(payload, [self.signing_key], namespace)

    def index_key(self, month: str) -> bytes:
        """The key of a month's index, `2026-11`. Raises IndexKeyError."""
        if month not in self._months:
            if len(self._months) >= MAX_MONTHS:
                self._months.clear()
            self._months[month] = month_key(self._roots[INDEX_ROOT], month)
        return self._months[month]

    async def generate_until(self, day: date, *, today: date) -> list[date]:
        """Make the first key of each day from `today` to `day` that never had one.

        Returns the days for which one was made.
        """
        days = [today + timedelta(ahead) for ahead in range((day - today).days + 1)]
        return await self._change(self._make_first, days)

    async def new_generation(self, day: date) -> int:
        """Make another key for a day, which from now on is the one to encrypt to.

        Returns its generation. Raises KeyringError after MAX_GENERATIONS.
        """
        return await self._change(self._make_next, day)

    async def destroy_day(self, day: date, generation: int, *, at: str) -> Destruction:
        """Destroy a key of a day; the record, also if that was done before.

        `at` is UTC, ISO 8601. Raises KeyringError if there never was such a key.
        """
        return await self._change(self._destroy_day, day, generation, at)

    async def hold_key(self, recording_id: str) -> Identity:
        """The key under which one held record's envelope lies; made if there is none.

        Raises KeyringError: it was destroyed, or that is no id.
        """
        return await self._change(self._make_hold, recording_id)

    async def hold_identity(self, recording_id: str) -> Identity | None:
        """The record's hold key, if it has one. Raises KeyringError: that is no id."""
        return await self._change(self._hold, recording_id)

    async def has_hold_key(self, recording_id: str) -> bool:
        """Whether the record has a hold key. Raises KeyringError: that is no id."""
        return await self.hold_identity(recording_id) is not None

    async def destroy_hold(self, recording_id: str, *, at: str) -> Destruction:
        """Destroy a record's hold key; the record of that, also if done before.

        `at` is UTC, ISO 8601. Raises KeyringError if there never was one.
        """
        return await self._change(self._destroy_hold, recording_id, at)

    async def forget(
        self, days: Iterable[str], holds: Iterable[str], *, at: str
    ) -> None:
        """Destroy the keys of these names, and let none of them ever be used again.

        `days` are names as of `day_names`, `holds` are records' ids; what is not held
        is noted all the same. Raises KeyringError.
        """
        await self._change(self._forget, [*days], [*holds], at)

    async def publish(self, today: date, issued: str) -> DayKeyList:
        """A new list of the day keys that hosts may need; `sign` makes it believed.

        `issued` is UTC, ISO 8601. A host that was away brings what it recorded up to
        BEHIND days ago. Raises KeyringError.
        """
        serial = await self._change(self._files.next_serial)
        first = today - timedelta(BEHIND)
        keys = tuple(
            DayKey(
                day=day.isoformat(),
                generation=generation,
                recipient=str(self.day_identity(day, generation).recipient()),
            )
            for day in self.days()
            if day >= first
            for generation in self.generations(day)[-1:]
        )
        return DayKeyList(serial=serial, issued=issued, keys=keys)

    async def serial(self) -> int:
        """Of the last published list; 0 before there was one. Raises KeyringError."""
        return await asyncio.to_thread(self._files.serial)

    async def holds(self) -> list[str]:
        """Ids of the records that have a hold key."""
        return await asyncio.to_thread(self._files.names, Kind.HOLD)

    async def destroyed(self) -> list[Destruction]:
        """Every destruction of a day key or a hold key. Raises KeyringError."""
        days = await asyncio.to_thread(self._files.destroyed, Kind.DAY)
        return days + await asyncio.to_thread(self._files.destroyed, Kind.HOLD)

    async def _change(
        self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """One at a time, in a thread, and to its end although the caller gave up."""
        async with self._changing:
            loop = asyncio.get_running_loop()
            call = functools.partial(act, *args, **kwargs)
            work = loop.run_in_executor(None, call)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work])
                raise

    def _make_first(self, days: Sequence[date]) -> list[date]:
        made = [day for day in days if day not in self._days and day not in self._gone]
        for day in made:
            self._make_day(day, 1)
        return made

    def _make_next(self, day: date) -> int:
        known = self._days.get(day, {}).keys() | self._gone.get(day, set())
        generation = max(known, default=0) + 1
        if generation > MAX_GENERATIONS:
            raise KeyringError(f"{day} has had too many keys.")
        self._make_day(day, generation)
        return generation

    def _make_day(self, day: date, generation: int) -> None:
        identity = generate_identity(self._kind, self.entropy)
        self._add(Kind.DAY, _day_name(day, generation), identity)
        # Known, and so published, only now that it is durable. The reader's copy is
        # replaced whole: it may be looked at from the loop.
        self._days[day] = {**self._days.get(day, {}), generation: identity}

    def _destroy_day(self, day: date, generation: int, at: str) -> Destruction:
        done = self._files.destroy(Kind.DAY, _day_name(day, generation), at)
        left = {**self._days.pop(day, {})}
        left.pop(generation, None)
        if left:
            self._days[day] = left
        self._gone.setdefault(day, set()).add(generation)
        return done

    def _seeds(self) -> list[str]:
        """Names of the signing keys, the newest first: `signing-3`, … `signing`."""
        later = [name for name in self._roots if _SEED.fullmatch(name)]
        later.sort(key=lambda name: int(name.rpartition("-")[2]), reverse=True)
        return [*later, SIGNING_SEED]

    def _make_seed(self) -> SigningKey:
        name = f"{SIGNING_SEED}-{len(self._seeds()) + 1}"
        seed = self.entropy(ROOT_SIZE)
        self._files.add(Kind.ROOT, name, seed, self.entropy)
        self._roots[name] = seed
        return SigningKey.from_seed(seed)

    def _forget(self, days: Sequence[str], holds: Sequence[str], at: str) -> None:
        for name in days:
            day, generation = _parse_day_name(name)
            self._files.bar(Kind.DAY, name, at)
            left = {**self._days.pop(day, {})}
            left.pop(generation, None)
            if left:
                self._days[day] = left
            self._gone.setdefault(day, set()).add(generation)
        for recording_id in holds:
            self._files.bar(Kind.HOLD, recording_id, at)
            self._holds.pop(recording_id, None)

    def _hold(self, recording_id: str) -> Identity | None:
        if not valid_id(recording_id):
            raise KeyringError("A hold key belongs to a recording's id.")
        if recording_id not in self._holds and self._files.holds(
            Kind.HOLD, recording_id
        ):
            self._holds[recording_id] = self._read(Kind.HOLD, recording_id)
        return self._holds.get(recording_id)

    def _make_hold(self, recording_id: str) -> Identity:
        if (held := self._hold(recording_id)) is None:
            held = generate_identity(self._kind, self.entropy)
            self._add(Kind.HOLD, recording_id, held)
            self._holds[recording_id] = held
        return held

    def _destroy_hold(self, recording_id: str, at: str) -> Destruction:
        done = self._files.destroy(Kind.HOLD, recording_id, at)
        self._holds.pop(recording_id, None)
        return done

    def _add(self, kind: Kind, name: str, identity: Identity) -> None:
        secret = identity_file(identity).encode()
        self._files.add(kind, name, secret, self.entropy)

    def _load(self) -> None:
        self._files.claim()
        for name in {INDEX_ROOT, SIGNING_SEED, *self._files.names(Kind.ROOT)}:
            self._roots[name] = self._files.read(Kind.ROOT, name)
        for name in self._files.names(Kind.DAY):
            day, generation = _parse_day_name(name)
            held = self._days.setdefault(day, {})
            held[generation] = self._read(Kind.DAY, name)
        for done in self._files.destroyed(Kind.DAY):
            day, generation = _parse_day_name(done.name)
            self._gone.setdefault(day, set()).add(generation)

    def _read(self, kind: Kind, name: str) -> Identity:
        return open_identity_file(self._files.read(kind, name))[0]


def _day_name(day: date, generation: int) -> str:
    return f"{day.isoformat()}.{generation}"


def _parse_day_name(name: str) -> tuple[date, int]:
    day, _, generation = name.partition(".")
    try:
        return date.fromisoformat(day), int(generation)
    except ValueError:
        raise KeyringError(f"{Kind.DAY}/{name} is no day's key.") from None
