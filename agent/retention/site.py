"""What retention works on: central storages, states, audit log, and the gate's keys."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Self, TypeVar

from agent.archive.audit_log import AuditLog
from agent.archive.documents import PLAIN, Documents
from agent.archive.keyring import Keyring
from agent.archive.states import States
from agent.archive.store import Archive
from agent.formats.audit import Act
from agent.formats.layout import Folder
from agent.retention.mark_store import MarkStore
from agent.upload.backend import StorageBackend

AT_ONCE: Final = 16
"Objects under way together: enough to hide an object store's latency."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """One central storage, and what it is called in reports."""

    name: str
    archive: Archive = field(repr=False)

    @classmethod
    def of(cls, archives: Sequence[Archive], names: Sequence[str] = ()) -> list[Self]:
        """Each by its name, or by its place in the configuration."""
        given = [*names, *(f"storage[{n}]" for n in range(len(names), len(archives)))]
        return [*map(cls, given, archives)]

    def backend(self, folder: Folder) -> StorageBackend:
        """Where objects of a folder are."""
        return self.archive.backend(folder)


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that an erasure touches."""

    places: tuple[Place, ...]
    "Each central storage."
    states: States
    log: AuditLog | None
    "None: nothing but tombstones tells of an erasure."
    keyring: Keyring | None
    "The gate's. None where there is no gate: then deleting envelopes is the erasure."
    who: str = "gate"
    "What the rows of the audit log say."
    documents: Documents = field(default=PLAIN, repr=False)
    "How marks and tombstones are written, and which are believed: as the states."
    home: StorageBackend = field(init=False, repr=False)
    "Where the marks are: the first place's, as the states."
    marks: MarkStore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        home = self.places[0].archive.state
        object.__setattr__(self, "home", home)
        object.__setattr__(self, "marks", MarkStore(home, self.documents))

    def without(self, away: Iterable[str]) -> "Site":
        """The same, but for places that do not answer."""
        names = set(away)
        up = tuple(place for place in self.places if place.name not in names)
        return replace(self, places=up)

    def generations(self, day: date) -> tuple[int, ...]:
        """Of the day's key, those that are held, the oldest first."""
        return () if self.keyring is None else tuple(self.keyring.generations(day))

    async def row(
        self,
        act: Act,
        *,
        recording_id: str = "",
        result: str = "ok",
        reference: str = "",
        **detail: str,
    ) -> None:
        """One row of the audit log, durable on return. Raises AuditLogError."""
        if self.log is not None:
            await self.log.append(
                self.who, act, recording_id=recording_id, result=result,
                reference=reference, detail=detail,
            )  # fmt: skip


async def each(items: Iterable[T], act: Callable[[T], Awaitable[object]]) -> None:
    """Act on every item, a few at once.

    If one fails, those under way come to their end before that is raised.
    """
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == AT_ONCE:
            await _together(batch, act)
            batch = []
    await _together(batch, act)


async def each_of(
    items: AsyncIterator[T], act: Callable[[T], Awaitable[object]]
) -> None:
    """As `each`, of what comes one by one."""
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == AT_ONCE:
            await _together(batch, act)
            batch = []
    await _together(batch, act)


async def _together(batch: Sequence[T], act: Callable[[T], Awaitable[object]]) -> None:
    done = await asyncio.gather(*map(act, batch), return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
