"""After a backup was restored: what tombstones name is erased again.

What a year has passed over is found by any sweep, wherever it came from. This finds
what was erased early, too, and says of everything that it came back.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeAlias

import structlog

from agent.archive import tombstones
from agent.archive.tombstones import TombstoneError
from agent.formats.audit import Act
from agent.formats.layout import LayoutError, parse_dated
from agent.retention.ending import Ending
from agent.retention.marks import MarkError
from agent.retention.report import Left
from agent.retention.site import Place, Site, each
from agent.retention.survey import RECORDINGS

CHUNK: Final = 50_000
"Tombstones held in memory; storage is listed once for each so many."
Grave: TypeAlias = tuple[Place, str]
"Where a tombstone is, and its name."


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
        there = {one: graves for one, graves in erased.items() if one not in going}
        await _erase_again(site, there, replayed)
    log = structlog.get_logger()
    if replayed.returned:
        log.error("erased_recordings_returned", count=len(replayed.returned))
    for one in replayed.left:
        log.error("replay_incomplete", **one.to_words())
    return replayed


async def _going_on(site: Site) -> set[str]:
    going: set[str] = set()
    for early in (False, True):
        for key in await site.marks.names(early=early):
            try:
                mark = await site.marks.read(key)
            except MarkError:
                continue  # the sweep tells of it
            if not mark.complete:
                going |= {*mark.ids, *mark.told}
    return going


async def _chunks(site: Site, chunk: int) -> AsyncIterator[dict[str, list[Grave]]]:
    erased: dict[str, list[Grave]] = {}
    for place in site.places:
        async for key, recording_id in tombstones.ids(place.archive.state):
            erased.setdefault(recording_id, []).append((place, key))
            if len(erased) >= chunk:
                yield erased
                erased = {}
    yield erased


async def _is_true(site: Site, graves: Iterable[Grave]) -> bool:
    """Whether a tombstone is to be believed: else whoever may put one erases by it."""
    for place, key in graves:
        try:
            await tombstones.read(place.archive.state, key, site.documents)
        except TombstoneError as error:
            structlog.get_logger().critical(
                "tombstone_refused", storage=place.name, reason=str(error)
            )
        else:
            return True
    return False


async def _erase_again(
    site: Site, erased: Mapping[str, Sequence[Grave]], replayed: Replayed
) -> None:
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
    false = {
        one
        for one in {one for ids in days.values() for one in ids}
        if not await _is_true(site, erased[one])
    }
    for day, found in sorted(days.items()):
        ids = found - false
        if not ids:
            continue
        left = await ending.envelopes(day, ids) + await ending.content(day, ids)

        async def tell(recording_id: str, day: date = day) -> None:
            await site.row(
                Act.ERASED, recording_id=recording_id, result="again",
                day=day.isoformat(),
            )  # fmt: skip

        await each(sorted(ids), tell)
        replayed.left += left
        replayed.returned |= dict.fromkeys(sorted(ids), day)
