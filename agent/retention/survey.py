"""What is there: which days' time is over, and which recordings are left of them.

Everything is read from names, a listing's page at a time; a day's ids are all that is
held in memory. Names are in the order of days, so what is due comes first.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from agent.archive.store import AHEAD
from agent.formats.layout import (
    Folder,
    LayoutError,
    day_of,
    day_prefix,
    parse_dated,
)
from agent.retention.policy import DAY_NS, start_of_day
from agent.retention.site import Place

RECORDINGS: Final = (Folder.KEYS, Folder.AUDIO, Folder.MANIFEST)
"Folders that have a folder for each day of recordings, and an object for each."
SETTLED_NS: Final = 8 * DAY_NS
"After a day begins; what storage got of it until then was filed under it in time."
FEW: Final = 10
"Recordings that are looked for one by one, and not in a list of all."


@dataclass(slots=True)
class Found:
    """Names of one or more days."""

    ids: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    "Those of which storage got an object in time."
    strange: int = 0
    "Objects whose names are none: they are left alone, and told of."


async def due_days(place: Place, due: Callable[[date], bool]) -> set[date]:
    """The days of which anything is there, up to the first that is not due.

    One listing for each day and folder. Raises StorageError.
    """
    days: set[date] = set()
    for folder in RECORDINGS:
        async for day in place.archive.days(folder):
            if not due(day):
                break
            days.add(day)
    return days


async def recordings_of(places: Iterable[Place], day: date) -> Found:
    """Ids of a day's recordings of which anything is left, anywhere.

    Raises StorageError.
    """
    found = Found()
    until_ns = start_of_day(day) + SETTLED_NS
    for place in places:
        for folder in RECORDINGS:
            listing = place.backend(folder).list(day_prefix(folder, day))
            async for info in listing:
                try:
                    one = parse_dated(info.key).id
                except LayoutError:
                    found.strange += 1
                    continue
                found.ids.add(one)
                if info.modified_ns < until_ns:
                    found.settled.add(one)
    return found


async def filed_later(
    places: Iterable[Place], day: date, ids: Collection[str], now_ns: int
) -> set[str]:
    """Of recordings that came to a day late, those that are filed under a later one.

    Whoever may only put objects could else have a recording erased before its time, by
    another of its id under a day that is over. Raises StorageError.
    """
    later: set[str] = set()
    ahead = (day_of(now_ns) - day).days + AHEAD
    days = [day + timedelta(days) for days in range(1, ahead + 1)]
    for place in places if ids else ():
        if len(ids) <= FEW:
            for one in sorted(ids):
                if await place.archive.locate_among(one, days) is not None:
                    later.add(one)
            continue
        after = f"{day_prefix(Folder.KEYS, day)}0"  # what follows `/` in keys' order
        async for info in place.backend(Folder.KEYS).list(Folder.KEYS, after=after):
            try:
                later |= {parse_dated(info.key).id}.intersection(ids)
            except LayoutError:
                continue  # the sweep of its day tells of it
    return later
