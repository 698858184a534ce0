"""The objects of erased recordings go; what a lock still keeps is counted."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from agent.formats.layout import (
    Folder,
    LayoutError,
    day_prefix,
    month_of,
    parse_dated,
    parse_index,
)
from agent.retention.site import Place, each_of
from agent.upload.backend import ObjectLockedError, StorageBackend

FEW: Final = 50
"Records whose own folders are listed, one by one."

_CONTENT: Final = (Folder.AUDIO, Folder.MANIFEST)


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of objects that were to go."""

    deleted: int = 0
    locked: int = 0
    "The storage's lock has not run out: they are as good as noise, and still there."

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(self.deleted + other.deleted, self.locked + other.locked)


async def remove_envelopes(place: Place, day: date, ids: Collection[str]) -> Removed:
    """The key envelopes: without a gate that is the erasure. Raises StorageError."""
    return await _remove(place.archive.state, _of_day(place, Folder.KEYS, day, ids))


async def remove_content(place: Place, day: date, ids: Collection[str]) -> Removed:
    """Audio, manifests, seals, index entries and annotations. Raises StorageError."""
    removed = Removed()
    for folder in _CONTENT:
        listed = _of_day(place, folder, day, ids)
        removed += await _remove(place.archive.locked, listed)
    removed += await _remove(place.archive.state, _of_index(place, month_of(day), ids))
    listed = _of_records(place, Folder.ANNOTATIONS, ids)
    return removed + await _remove(place.archive.state, listed)


async def keep(place: Place, day: date, ids: Collection[str]) -> None:
    """Have storage's own expiry pass by what is kept longer. Raises StorageError."""
    for folder in (Folder.KEYS, *_CONTENT):
        listed = _of_day(place, folder, day, ids)
        await each_of(listed, place.backend(folder).keep)


async def _remove(backend: StorageBackend, keys: AsyncIterator[str]) -> Removed:
    deleted = locked = 0

    async def remove(key: str) -> None:
        nonlocal deleted, locked
        try:
            await backend.delete(key)
        except ObjectLockedError:
            locked += 1
        else:
            deleted += 1

    await each_of(keys, remove)
    return Removed(deleted, locked)


async def _of_day(
    place: Place, folder: Folder, day: date, ids: Collection[str]
) -> AsyncIterator[str]:
    async for info in place.backend(folder).list(day_prefix(folder, day)):
        try:
            name = parse_dated(info.key)
        except LayoutError:
            continue  # told of by the survey, and nobody's to delete
        if name.id in ids:
            yield info.key


async def _of_index(
    place: Place, month: str, ids: Collection[str]
) -> AsyncIterator[str]:
    async for info in place.archive.state.list(f"{Folder.INDEX}/{month}"):
        try:
            entry = parse_index(info.key)
        except LayoutError:
            continue
        if entry.id in ids:
            yield info.key


async def _of_records(
    place: Place, folder: Folder, ids: Collection[str]
) -> AsyncIterator[str]:
    """Keys `<folder>/<id>/…`: of annotations."""
    # One listing of all is cheaper than many of one.
    few = len(ids) <= FEW
    for prefix in [f"{folder}/{one}" for one in sorted(ids)] if few else [folder]:
        async for info in place.archive.state.list(prefix):
            if info.key.split("/")[1] in ids:
                yield info.key
