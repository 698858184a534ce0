"""After a backup was restored: what tombstones name is erased again.

What a year has passed over is found by any sweep, wherever it came from. This finds
what was erased early, too, and says of everything that it came back.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import structlog

from agent.archive import tombstones
from agent.formats.audit import Act
from agent.formats.layout import Folder, LayoutError, parse_dated
from agent.retention.ending import Ending
from agent.retention.marks import MAX_MARK, Mark
from agent.retention.report import Left
from agent.retention.site import Site, each
from agent.retention.survey import RECORDINGS
from agent.upload.backend import read_object

CHUNK: Final = 50_000
"Tombstones held in memory; storage is listed once for each so many."


@dataclass(slots=True)
class Replayed:
    """What came back, and is gone again; no personal data."""

    tombstones: int = 0
    "What was held against storage: of all places, each id once in a piece."
    returned: dict[str, date] = field(default_factory=dict)
    "Recordings that were there although erased, each with the day it was filed under."
    left: list[Left] = field(default_factory=list)

    def to_words(self) -> dict[str, object]:
        """For answers and programs: JSON."""
        return {
            "tombstones": self.tombstones,
            "returned": {one: day.isoformat() for one, day in self.returned.items()},
            "incomplete": [one.to_words() for one in self.left],
        }


async def replay(site: Site, *, chunk: int = CHUNK) -> Replayed:
    """Hold every place against the tombstones of all places, and erase what came back.

    What an erasure that still goes on has left is its own. Raises MarkError,
    TombstoneError, AuditLogError, StorageError.
    """
    replayed = Replayed()
    going = await _going_on(site)
    async for erased in _chunks(site, chunk):
        replayed.tombstones += len(erased)
        await _erase_again(site, erased - going, replayed)
    log = structlog.get_logger()
    if replayed.returned:
        log.error("erased_recordings_returned", count=len(replayed.returned))
    for one in replayed.left:
        log.error("replay_incomplete", **one.to_words())
    return replayed


async def _going_on(site: Site) -> set[str]:
    going: set[str] = set()
    async for info in site.home.list(Folder.ERASURES):
        mark = Mark.parse(await read_object(site.home, info.key, MAX_MARK))
        if not mark.complete:
            going |= {*mark.ids, *mark.told}
    return going


async def _chunks(site: Site, chunk: int) -> AsyncIterator[set[str]]:
    erased: set[str] = set()
    for place in site.places:
        async for _, recording_id in tombstones.ids(place.archive.state):
            erased.add(recording_id)
            if len(erased) >= chunk:
                yield erased
                erased = set()
    yield erased


async def _erase_again(site: Site, erased: set[str], replayed: Replayed) -> None:
    days: dict[date, set[str]] = {}
    for place in site.places:
        for folder in RECORDINGS:
            async for info in place.backend(folder).list(folder):
                try:
                    name = parse_dated(info.key)
                except LayoutError:
                    continue  # the sweep of its day tells of it
                if name.id in erased:
                    days.setdefault(name.day, set()).add(name.id)
    ending = Ending(site)
    for day, ids in sorted(days.items()):
        left = await ending.envelopes(day, ids) + await ending.content(day, ids)

        async def tell(recording_id: str, day: date = day) -> None:
            await site.row(
                Act.ERASED, recording_id=recording_id, result="again",
                day=day.isoformat(),
            )  # fmt: skip

        await each(sorted(ids), tell)
        replayed.left += left
        replayed.returned |= dict.fromkeys(sorted(ids), day)
