"""What is there: which days' time is over, and which recordings are left of them.

Everything is read from names, a listing's page at a time; a day's ids are all that is
held in memory. Names are in the order of days, so what is due comes first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from agent.formats.layout import (
    Folder,
    LayoutError,
    day_prefix,
    parse_dated,
)
from agent.retention.site import Place

RECORDINGS: Final = (Folder.KEYS, Folder.AUDIO, Folder.MANIFEST)
"Folders that have a folder for each day of recordings, and an object for each."


@dataclass(slots=True)
class Found:
    """Names of one or more days."""

    ids: set[str] = field(default_factory=set)
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
    for place in places:
        for folder in RECORDINGS:
            listing = place.backend(folder).list(day_prefix(folder, day))
            async for info in listing:
                try:
                    found.ids.add(parse_dated(info.key).id)
                except LayoutError:
                    found.strange += 1
    return found
