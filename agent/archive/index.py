"""Finding recordings by a number that central storage does not know.

The index names blind values, HMACs of numbers under the month's key, and ids. Who has
the key asks for one blind value; the objects are empty, so nothing is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeVar

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
"Months, recordings or days that are asked about at the same time."
LISTED: Final = 3
"Recordings of one day that are asked for; for more, the day is listed."
FEW: Final = 4
"Recordings that are asked for on each day of a month; for more, the days are listed."
MAX_HITS: Final = 10_000
"Of one search; an officer has a few thousand calls a year."


T = TypeVar("T")


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
    prefixes: dict[str, str] = {}
    unkeyed: list[str] = []
    for month in months:
        blind = blind_of(month, domain)
        if blind is None:
            unkeyed.append(month)
        else:
            prefixes[month] = f"{index_prefix(month, domain)}/{blind}"
    entries = await _entries(archive, prefixes)
    hits = await _located(archive, entries[:MAX_HITS])
    return Found(
        sorted(hits),
        tuple(unkeyed),
        missing=min(len(entries), MAX_HITS) - len(hits),
        truncated=len(entries) > MAX_HITS,
    )


async def find_unindexed(archive: Archive, months: Iterable[str]) -> list[Hit]:
    """The recordings for which no index key was there. Raises as `find` does."""
    prefixes = {month: index_prefix(month, None) for month in months}
    entries = await _entries(archive, prefixes)
    return sorted(await _located(archive, entries))


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    month: str
    likely: date
    "The day on which storage got it: mostly the recording's own."


async def _entries(archive: Archive, prefixes: dict[str, str]) -> list[_Entry]:
    """The index entries in each month's folder, one more than MAX_HITS of each."""
    months = list(prefixes)
    entries: list[_Entry] = []
    for start in range(0, len(months), AT_ONCE):
        batch = months[start : start + AT_ONCE]
        found = await asyncio.gather(
            *(_entries_of(archive, month, prefixes[month]) for month in batch)
        )
        entries += [entry for one in found for entry in one]
    return entries


async def _entries_of(archive: Archive, month: str, prefix: str) -> list[_Entry]:
    entries: list[_Entry] = []
    async for info in archive.state.list(prefix):
        try:
            entry = parse_index(info.key)
        except LayoutError:
            continue  # names nobody, so it finds nobody; `verify` is who tells
        entries.append(_Entry(entry.id, month, day_of(info.modified_ns)))
        if len(entries) > MAX_HITS:
            break
    return entries


async def _located(archive: Archive, entries: list[_Entry]) -> list[Hit]:
    """Each recording's day, which is one of its month's.

    Mostly it is the one on which storage got its entry; not where storage was copied,
    or was away for long.
    """
    likely: dict[date, set[str]] = {}
    for entry in entries:
        if month_of(entry.likely) == entry.month:
            likely.setdefault(entry.likely, set()).add(entry.id)
    full = {day: ids for day, ids in likely.items() if len(ids) > LISTED}
    hits = await _by_listing(archive, full, {i for ids in full.values() for i in ids})
    asked = {i: [day] for day, ids in likely.items() if day not in full for i in ids}
    hits += await _by_asking(archive, asked)
    found = {hit.id for hit in hits}
    rest: dict[str, set[str]] = {}
    for entry in entries:
        if entry.id not in found:
            rest.setdefault(entry.month, set()).add(entry.id)
    days: dict[str, list[date]] = {}
    for month, ids in rest.items():
        if len(ids) > FEW:
            hits += await _by_listing(archive, days_of(month), ids)
        else:
            days |= dict.fromkeys(ids, days_of(month))
    return hits + await _by_asking(archive, days)


async def _by_asking(archive: Archive, days: dict[str, list[date]]) -> list[Hit]:
    """Those that are there on one of the days given for them."""
    hits: list[Hit] = []

    async def ask(one: str) -> None:
        day = await archive.locate_among(one, days[one])
        if day is not None:
            hits.append(Hit(day, one))

    await _each(days, ask)
    return hits


async def _by_listing(
    archive: Archive, days: Iterable[date], ids: Set[str]
) -> list[Hit]:
    """Those of the recordings that are there on some days, a listing for each day."""
    hits: list[Hit] = []

    async def list_(day: date) -> None:
        filed = await archive.recordings(day)
        hits.extend(Hit(day, one) for one in filed if one in ids)

    await _each(days, list_)
    return hits


async def _each(items: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Do it to each, `AT_ONCE` at a time: one that takes long holds up no other."""
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await act(item)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def days_of(month: str) -> list[date]:
    """The days of a month like `2026-11`."""
    first = date.fromisoformat(f"{month}-01")
    return [
        day
        for day in (first + timedelta(number) for number in range(31))
        if month_of(day) == month
    ]
