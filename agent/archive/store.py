"""Central storage as it is read: where a recording is, and what belongs to it.

Names have the day in them, and who asks often knows the id alone: then its days are
tried, the likely ones first, rather than a year listed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Final

import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.formats.layout import (
    Dated,
    Folder,
    LayoutError,
    annotation_prefix,
    day_of,
    day_prefix,
    envelope_key,
    manifest_key,
    month_of,
    parse_dated,
    seal_key,
)
from agent.upload.backend import (
    ObjectInfo,
    ObjectMissingError,
    StorageBackend,
    read_object,
)
from agent.upload.targets import Target

MAX_ENVELOPE: Final = 1 << 20
"Bytes: two layers for two hundred people, with post-quantum keys."
LONGEST_BACK: Final = 800
"Days in which a recording is looked for: two years, since a hold may outlast the one."
AHEAD: Final = 2
"Days after today: a host's clock may be ahead."
LONG_DAY: Final = 2000
"Objects of one day after which the rest of it is left out: two answers of a store."
PAGES: Final = 100
"Of a hundred thousand recordings, as a year of a large agency has."
LISTING: Final = 20.0
"Seconds that such a listing may take: of a million recordings."
PAGE: Final = 1000
"Objects of one answer of a store that lists."
AT_ONCE: Final = 16
"Days that are asked about at the same time."


class NotFoundError(AgentError):
    """Nothing is filed under that id."""

    hint = "Check the id and the day; what was erased is not there any more."


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of a recording."""

    name: Dated
    key: str
    size: int
    modified_ns: int
    "When storage got it, in UTC nanoseconds."


class Archive:
    """One storage's two places, `locked` and `state`."""

    def __init__(
        self,
        locked: StorageBackend,
        state: StorageBackend,
        *,
        by: Folder = Folder.KEYS,
        clock: Callable[[], int] = utc_ns,
    ) -> None:
        """`by` is the folder in which recordings are looked for.

        Who has no rights in `keys/` looks for the manifest, or the seal.
        """
        self.locked = locked
        self.state = state
        self._by = by
        self._clock = clock

    @classmethod
    def of(cls, target: Target, *, by: Folder = Folder.KEYS) -> "Archive":
        """The archive in one `[[storage]]`."""
        return cls(target.locked, target.state, by=by)

    def today(self) -> date:
        """The local day."""
        return day_of(self._clock())

    def backend(self, folder: Folder) -> StorageBackend:
        """The place that a folder is in."""
        return self.locked if folder.target == "locked" else self.state

    @property
    def page_costs(self) -> int:
        """How many questions cost as much as a page of a listing (StorageBackend)."""
        return self.backend(self._by).page_costs

    async def locate(self, recording_id: str, near: date | None = None) -> date | None:
        """The day that a recording is filed under; None if there is no such.

        `near` is a day that it may be, or be close to: two or three questions then,
        else one for each day until it is found. Raises LayoutError, StorageError.
        """
        return await self.locate_among(recording_id, self._days(near))

    async def locate_among(
        self, recording_id: str, days: Iterable[date]
    ) -> date | None:
        """The first of some days that has it. Raises LayoutError, StorageError."""
        days = iter(days)
        while batch := [*islice(days, AT_ONCE)]:
            if found := await self._filed(recording_id, batch):
                return found[0]
        return None

    async def locate_all(self, recording_id: str) -> list[date]:
        """Every day that a recording is filed under, the latest first.

        A recording has one; who may put objects can give it more. It takes a question
        for each day that counts, some 800. Raises LayoutError, StorageError.
        """
        days, found = self._days(None), []
        while batch := [*islice(days, AT_ONCE)]:
            found += await self._filed(recording_id, batch)
        return found

    async def list_days_of(self, ids: Collection[str]) -> dict[str, list[date]] | None:
        """Every day that each of many recordings is filed under, by one listing.

        None if that takes too long, or there are so few that `locate_all` takes less.
        Raises StorageError.
        """
        if len(ids) * LONGEST_BACK < PAGES * self.page_costs:
            return None
        try:
            async with asyncio.timeout(LISTING):
                return await self._listed(ids)
        except TimeoutError:
            return None

    async def _listed(self, ids: Collection[str]) -> dict[str, list[date]]:
        days = list(self._days(None))
        after, end = day_prefix(self._by, days[-1]), f"{day_prefix(self._by, days[0])}0"
        found: dict[str, list[date]] = {one: [] for one in ids}
        async for info in self.backend(self._by).list(self._by, after=after):
            if info.key > end:
                break
            try:
                name = parse_dated(info.key)
            except LayoutError:
                continue  # it is no recording's; whoever lists the day tells
            if (known := found.get(name.id)) is not None and name.day not in known:
                known.insert(0, name.day)
        return found

    async def _filed(self, recording_id: str, days: list[date]) -> list[date]:
        found = await asyncio.gather(
            *(self._is_there(recording_id, day) for day in days)
        )
        return [day for day, there in zip(days, found, strict=True) if there]

    def _days(self, near: date | None) -> Iterator[date]:
        """All days that count, those near to `near` first, else the latest first."""
        last = self.today() + timedelta(AHEAD)
        first = last - timedelta(LONGEST_BACK)
        start = last if near is None else min(max(near, first), last)
        yield start
        for distance in range(1, LONGEST_BACK + 1):
            for day in (start - timedelta(distance), start + timedelta(distance)):
                if first <= day <= last:
                    yield day

    async def _is_there(self, recording_id: str, day: date) -> bool:
        if self._by is Folder.KEYS:
            return await self._holds(self.state, envelope_key(day, recording_id))
        # One whose host died has no manifest yet, but its seal.
        return await self._holds(
            self.locked, manifest_key(day, recording_id)
        ) or await self._holds(self.locked, seal_key(day, recording_id))

    async def _holds(self, backend: StorageBackend, key: str) -> bool:
        try:
            await backend.head(key)
        except ObjectMissingError:
            return False
        return True

    async def envelope(self, recording_id: str, day: date) -> bytes:
        """The key envelope as it is stored.

        Raises NotFoundError, ObjectTooLargeError, StorageError.
        """
        try:
            return await read_object(
                self.state, envelope_key(day, recording_id), MAX_ENVELOPE
            )
        except ObjectMissingError:
            raise NotFoundError("There is no such recording on that day.") from None

    async def objects(
        self, folder: Folder, recording_id: str, day: date
    ) -> list[Stored]:
        """What a recording has in a folder: audio or journals, manifest and seal.

        Raises LayoutError, StorageError.
        """
        prefix = day_prefix(folder, day)
        after = f"{prefix}/{recording_id}"
        found = []
        async for info in self.backend(folder).list(prefix, after=after):
            if not info.key.startswith(f"{after}."):
                break
            found.append(_stored(info))
        return found

    async def annotations(self, recording_id: str) -> list[str]:
        """The names of a recording's annotations, the oldest first.

        Raises LayoutError, StorageError.
        """
        prefix = annotation_prefix(recording_id)
        return [info.key async for info in self.state.list(prefix)]

    async def list_day(self, folder: Folder, day: date) -> AsyncIterator[Stored]:
        """Every object of a day, in the order of ids.

        What has a strange name is logged and left out. Raises StorageError.
        """
        async for info in self.backend(folder).list(day_prefix(folder, day)):
            try:
                stored = _stored(info)
            except LayoutError:
                # Its name may be anything, so it stands in no log.
                structlog.get_logger().warning(
                    "strange_object", folder=str(folder), day=day.isoformat()
                )
                continue
            yield stored

    async def list_month(self, month: str) -> AsyncIterator[Stored]:
        """Every object that tells of a recording of a month, in the order of days.

        Raises StorageError.
        """
        async for info in self.backend(self._by).list(self._month(month)):
            try:
                yield _stored(info)
            except LayoutError:
                continue  # whoever lists the day tells of it

    async def page_from(self, day: date, recording_id: str) -> list[Stored]:
        """From a recording's objects on, those of a month; fewer than PAGE: all.

        Raises StorageError.
        """
        found: list[Stored] = []
        after = f"{day_prefix(self._by, day)}/{recording_id}"
        folder = self._month(month_of(day))
        async for info in self.backend(self._by).list(folder, after=after):
            try:
                found.append(_stored(info))
            except LayoutError:
                continue
            if len(found) == PAGE:
                break
        return found

    def _month(self, month: str) -> str:
        """The folder of a month like `2026-11`."""
        return f"{self._by}/{month.replace('-', '/')}"

    async def recordings(self, day: date) -> list[str]:
        """The ids filed under a day, in order. Raises StorageError."""
        listed = self.list_day(self._by, day)
        return list(dict.fromkeys([stored.name.id async for stored in listed]))

    async def days(
        self, folder: Folder, first: date | None = None
    ) -> AsyncIterator[date]:
        """The days, from `first` on, that a folder has objects of. Raises StorageError.

        Each is listed as far as it has to be.
        """
        after = day_prefix(folder, first) if first else ""
        current: date | None = None
        while True:
            seen = 0
            async for info in self.backend(folder).list(folder, after=after):
                try:
                    day = parse_dated(info.key).day
                except LayoutError:
                    continue
                seen += 1
                if day != current:
                    yield day
                    current, seen = day, 0
                elif seen >= LONG_DAY:
                    break
            if seen < LONG_DAY or current is None:
                return
            after = f"{day_prefix(folder, current)}0"  # what follows `/` in keys' order


def _stored(info: ObjectInfo) -> Stored:
    return Stored(parse_dated(info.key), info.key, info.size, info.modified_ns)
