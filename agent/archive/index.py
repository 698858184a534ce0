"""Finding recordings by a number that central storage does not know.

The index names blind values, HMACs of numbers under the month's key, and ids. Who has
the key asks for one blind value; the objects are empty, so nothing is read.
"""

import asyncio
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from agent.archive.store import Archive
from agent.formats.layout import (
    Domain,
    LayoutError,
    day_of,
    index_prefix,
    month_of,
    parse_index,
)

AT_ONCE: Final = 16
"Recordings, or days, that are asked about at the same time."
FEW: Final = 4
"Recordings that are asked for on each day of a month; for more, the days are listed."
MAX_HITS: Final = 10_000
"Of one search; an officer has a few thousand calls a year."


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A recording that was found."""

    day: date
    id: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave."""

    hits: list[Hit]
    "In the order of days."
    unkeyed: tuple[str, ...] = ()
    "Months whose index key is not there: nothing is known of them."
    missing: int = 0
    "Index entries whose recording is gone: erasure was interrupted, or it is a theft."
    truncated: bool = False
    "Whether there are more than MAX_HITS."


async def find(
    archive: Archive,
    blind_of: Callable[[str, Domain], str | None],
    months: Iterable[str],
    domain: Domain,
) -> Found:
    """The recordings of one number in some months, `2026-11` and the like.

    `blind_of` gives the number's blind value in a month and domain, or None where the
    month has no key. Raises LayoutError, StorageError.
    """
    hits: list[Hit] = []
    unkeyed: list[str] = []
    missing = 0
    for month in months:
        blind = blind_of(month, domain)
        if blind is None:
            unkeyed.append(month)
            continue
        prefix = f"{index_prefix(month, domain)}/{blind}"
        found = await _entries(archive, prefix, MAX_HITS - len(hits) - missing)
        located = await _days(archive, month, found.ids)
        hits += located
        missing += len(found.ids) - len(located)
        if found.truncated:
            return Found(sorted(hits), tuple(unkeyed), missing, truncated=True)
    return Found(sorted(hits), tuple(unkeyed), missing)


async def find_unindexed(archive: Archive, months: Iterable[str]) -> list[Hit]:
    """The recordings for which no index key was there. Raises as `find` does."""
    hits: list[Hit] = []
    for month in months:
        found = await _entries(archive, index_prefix(month, None), MAX_HITS)
        hits += await _days(archive, month, found.ids)
    return sorted(hits)


@dataclass(frozen=True, slots=True)
class _Entries:
    ids: dict[str, date]
    "Each with the day on which storage got its entry: mostly the recording's own."
    truncated: bool = False


async def _entries(archive: Archive, prefix: str, limit: int) -> _Entries:
    ids: dict[str, date] = {}
    async for info in archive.state.list(prefix):
        try:
            entry = parse_index(info.key)
        except LayoutError:
            continue  # names nobody, so it finds nobody; `verify` is who tells
        if len(ids) >= limit:
            return _Entries(ids, truncated=True)
        ids[entry.id] = day_of(info.modified_ns)
    return _Entries(ids)


async def _days(archive: Archive, month: str, ids: dict[str, date]) -> list[Hit]:
    """Each recording's day, which is one of its month's.

    Mostly it is the one on which storage got its entry; not where storage was copied,
    or was away for long.
    """
    likely = {one: [day] for one, day in ids.items() if month_of(day) == month}
    hits = await _by_asking(archive, likely)
    rest = ids.keys() - {hit.id for hit in hits}
    if len(rest) > FEW:
        return hits + await _by_listing(archive, month, rest)
    return hits + await _by_asking(archive, dict.fromkeys(rest, _days_of(month)))


async def _by_asking(archive: Archive, days: dict[str, list[date]]) -> list[Hit]:
    """Those that are there on one of the days given for them."""
    hits: list[Hit] = []
    waiting = list(days.items())
    for start in range(0, len(waiting), AT_ONCE):
        batch = waiting[start : start + AT_ONCE]
        found = await asyncio.gather(
            *(archive.locate_among(one, among) for one, among in batch)
        )
        hits += [
            Hit(day, one)
            for (one, _), day in zip(batch, found, strict=True)
            if day is not None
        ]
    return hits


async def _by_listing(archive: Archive, month: str, ids: Set[str]) -> list[Hit]:
    """The days of many recordings of one month, a listing for each day of it."""
    hits: list[Hit] = []
    days = _days_of(month)
    for start in range(0, len(days), AT_ONCE):
        batch = days[start : start + AT_ONCE]
        listed = await asyncio.gather(*(archive.recordings(day) for day in batch))
        hits += [
            Hit(day, one)
            for day, filed in zip(batch, listed, strict=True)
            for one in filed
            if one in ids
        ]
    return hits


def _days_of(month: str) -> list[date]:
    first = date.fromisoformat(f"{month}-01")
    return [
        day
        for day in (first + timedelta(number) for number in range(31))
        if month_of(day) == month
    ]
