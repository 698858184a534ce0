"""Central storage, verified from a person's desk: days by their seals, months' indexes.

What storage holds is compared with what hosts signed; the index, which nobody signs,
with the recordings themselves. Nothing is played, and nothing is written.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from agent.access.desk import Desk, DeskError
from agent.access.tags import read_manifest
from agent.archive.day_verification import REACH, verify_chain
from agent.archive.documents import PLAIN, Believed, GatesDocuments
from agent.archive.index import days_of
from agent.archive.index_verification import (
    IndexFinding,
    MonthIndex,
    read_month,
    verify_index,
)
from agent.archive.seal_chains import Finding, FindingKind
from agent.archive.store import Archive, NotFoundError
from agent.archive.tombstones import Erased, Tombstone, TombstoneError, ids, read
from agent.formats.age import NoMatchError
from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.envelope import open_envelope
from agent.recording.indexing import index_names

NO_ROSTER: Final = "without a roster nobody says whose seals are believed."
NO_LISTING: Final = "with a gate, the index is closed to everybody but the gate."


@dataclass(frozen=True, slots=True)
class DayVerified:
    """What is wrong with one day in one storage."""

    storage: int
    "Its place among the configuration's, from 0."
    day: date
    recordings: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class IndexVerified:
    """What is wrong with a month's index in one storage."""

    storage: int
    month: str
    recordings: int
    "That have an entry."
    compared: int
    "That these keys open, so that their numbers were compared too."
    findings: tuple[IndexFinding, ...] = field(default=())


async def verify_day(
    desk: Desk, day: date, *, audio: bool = True
) -> AsyncIterator[DayVerified]:
    """Hold a day against its hosts' seals, in each storage; `audio`: every byte of it.

    Raises DeskError, TombstoneError for a strange name, StorageError.
    """
    if desk.roster is None:
        raise DeskError(NO_ROSTER, hint="Give [roster] in the configuration.")
    believed: Believed = PLAIN
    if desk.gate is not None:
        believed = GatesDocuments(desk.roster.gate_keys)
    for number, archive in enumerate(desk.archives):
        graves, findings = await _graves(archive, day, believed)
        findings += await verify_chain(
            archive,
            day,
            desk.roster,
            graves,
            audio=audio,
            envelopes=desk.gate is None,
        )
        count = len(await archive.recordings(day))
        yield DayVerified(number, day, count, tuple(findings))


async def verify_month(desk: Desk, month: str) -> AsyncIterator[IndexVerified]:
    """Hold a month's index against its recordings, in each storage.

    Where the desk holds the month's index key, the recordings that its keys open are
    compared by their numbers. Raises DeskError, StorageError, and what a broken
    manifest raises (AgeError, ManifestError, TagsError).
    """
    if desk.gate is not None:
        raise DeskError(NO_LISTING, hint="Have it verified where the gate is.")
    keys = _keys(desk, month)
    for number, archive in enumerate(desk.archives):
        index = await read_month(archive, month)
        erased = Erased(archive)
        findings = await verify_index(archive, index, erased.is_erased)
        compared = 0
        if keys is not None:
            async for found in _compared(desk, archive, index, keys):
                compared += 1
                findings += found
        yield IndexVerified(
            number, month, len(index.ids), compared, tuple(sorted(set(findings)))
        )


async def _compared(
    desk: Desk, archive: Archive, index: MonthIndex, keys: IndexKeys
) -> AsyncIterator[list[IndexFinding]]:
    """What is wrong with the entries of each recording that can be opened."""
    for day in days_of(index.month):
        for recording_id in await archive.recordings(day):
            if recording_id not in index.ids:
                continue
            try:
                envelope = await archive.envelope(recording_id, day)
                key = open_envelope(envelope, desk.identities)
            except (NotFoundError, NoMatchError):
                continue
            manifest = await read_manifest(archive, recording_id, day, key)
            if manifest is not None:
                yield index.compare(recording_id, index_names(manifest, day, keys))


def _keys(desk: Desk, month: str) -> IndexKeys | None:
    """The month's index key, if the desk holds it."""
    if isinstance(desk.index, bytes):
        return IndexKeys({month: month_key(desk.index, month)})
    if desk.index is not None and month in desk.index.months:
        return desk.index
    return None


async def _graves(
    archive: Archive, day: date, believed: Believed
) -> tuple[list[Tombstone], list[Finding]]:
    """The tombstones of recordings of a day and of those around it; what are none.

    Where there is a gate it signs them: else whoever takes a recording away could put
    one in its place.
    """
    found, refused = [], []
    async for key, recording_id in ids(archive.state):
        try:
            tombstone = await read(archive.state, key, believed)
        except TombstoneError as error:
            kind = FindingKind.TOMBSTONE_REFUSED
            refused.append(Finding(kind, recording_id, key, error.args[0]))
            continue
        if abs((tombstone.created - day).days) <= REACH:
            found.append(tombstone)
    return found, refused
