"""Finding recordings by a number that central storage does not know.

The index names blind values, HMACs of numbers under the month's key, and ids. Who has
the key asks for one blind value; the objects are empty, so nothing is read.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeVar

from agent.archive.store import PAGE, Archive
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
FEW: Final = 4
"Recordings of unknown days that are asked for on each; for more, the month is listed."
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
    """Each recording's day, which is one of its month's."""
    months: dict[str, list[_Entry]] = {}
    for entry in entries:
        months.setdefault(entry.month, []).append(entry)
    hits: list[Hit] = []

    async def locate(month: str) -> None:
        hits.extend(await _of_month(archive, month, months[month]))

    await _each(months, locate)
    return hits


async def _of_month(archive: Archive, month: str, entries: list[_Entry]) -> list[Hit]:
    """Those of a month.

    Mostly a recording's day is the one on which storage got its entry; not where
    storage was copied, or was away for long.
    """
    likely = [Hit(e.likely, e.id) for e in entries if month_of(e.likely) == month]
    hits = await _by_walking(archive, sorted(likely))
    rest = {entry.id for entry in entries} - {hit.id for hit in hits}
    if len(rest) > FEW:
        async for stored in archive.list_month(month):
            if stored.name.id in rest:
                hits.append(Hit(stored.name.day, stored.name.id))
                rest.remove(stored.name.id)
        return hits
    return hits + await _by_asking(archive, dict.fromkeys(rest, days_of(month)))


async def _by_walking(archive: Archive, likely: list[Hit]) -> list[Hit]:
    """Those that are there on the day given, in the order of days.

    Pages of a listing tell of many at once, each from the first that is still looked
    for; where a page tells of few, each of the others is asked for.
    """
    hits: list[Hit] = []
    few = archive.page_costs
    while len(likely) > few:
        first = likely[0]
        page = await archive.page_from(first.day, first.id)
        filed = {Hit(stored.name.day, stored.name.id) for stored in page}
        last = max(filed) if len(page) == PAGE else likely[-1]
        told, likely = _split(likely, last)
        hits += [hit for hit in told if hit in filed]
        if len(told) <= few:
            break
    return hits + await _by_asking(archive, {hit.id: [hit.day] for hit in likely})


def _split(hits: list[Hit], last: Hit) -> tuple[list[Hit], list[Hit]]:
    """Those up to one, and those after it."""
    count = bisect_right(hits, last)
    return hits[:count], hits[count:]


async def _by_asking(archive: Archive, days: Mapping[str, Sequence[date]]) -> list[Hit]:
    """Those that are there on one of the days given for them."""
    hits: list[Hit] = []

    async def ask(one: str) -> None:
        day = await archive.locate_among(one, days[one])
        if day is not None:
            hits.append(Hit(day, one))

    await _each(days, ask)
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
