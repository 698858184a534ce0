"""A day of central storage against its hosts' seals: complete, or each hole named."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from datetime import date, timedelta
from typing import Final

from agent.archive.seal_chains import ChainBook, Finding, FindingKind, Link
from agent.archive.store import Archive
from agent.archive.tombstones import Tombstone
from agent.archive.verification import SEAL
from agent.formats.layout import (
    Dated,
    Folder,
    LayoutError,
    day_prefix,
    parse_dated,
)
from agent.formats.roster import Roster
from agent.formats.seal import (
    MAX_SEAL,
    SealedFile,
    SealError,
    Statement,
    seal_place,
    verify_seal,
)
from agent.upload.backend import (
    ObjectInfo,
    ObjectMissingError,
    ObjectTooLargeError,
    StorageBackend,
    read_object,
)

REACH: Final = 10
"Days before and after one in which its chains' neighbours are looked for."
AT_ONCE: Final = 16
"Objects that are read at the same time."


async def verify_chain(
    archive: Archive,
    day: date,
    roster: Roster,
    tombstones: Iterable[Tombstone],
    *,
    audio: bool = True,
    envelopes: bool = True,
) -> list[Finding]:
    """Verify all that is filed under a day; nothing is wrong if nothing is returned.

    With `audio` every byte is read, else only the sizes of audio are compared. Without
    `envelopes`, for who may not list them, none is missed. Raises StorageError.
    """
    graves = {one.id: one for one in tombstones}
    erased = [one.seal for one in graves.values() if one.seal is not None]
    book = ChainBook(day, erased)
    verifier = _Day(archive, day, roster)
    findings = await verifier.objects(audio=audio, erased=graves.keys())
    if envelopes:
        findings += await verifier.envelopes(graves.keys())
    for link in verifier.links:
        book.add(link)
    for distance in range(1, REACH + 1):
        if distance > 1 and book.is_complete:
            break
        for other in (day - timedelta(distance), day + timedelta(distance)):
            async for link in _links(archive, other, roster):
                book.add(link)
    return sorted(findings + book.findings())


class _Day:
    """The objects of one day."""

    def __init__(self, archive: Archive, day: date, roster: Roster) -> None:
        self._archive = archive
        self._day = day
        self._hosts = roster.host_keys(day)
        self.links: list[Link] = []
        "Of the seals that are good."
        self._stated: dict[str, Statement] = {}

    async def objects(self, *, audio: bool, erased: Iterable[str]) -> list[Finding]:
        """Seals, and what they speak of."""
        gone, findings = set(erased), []
        stored: dict[str, ObjectInfo] = {}
        seals: dict[str, Dated] = {}
        refused: set[str] = set()
        for folder in (Folder.AUDIO, Folder.MANIFEST):
            prefix = day_prefix(folder, self._day)
            async for info in self._archive.locked.list(prefix):
                try:
                    name = parse_dated(info.key)
                except LayoutError:
                    # Whatever it is called, that stands in no report.
                    findings.append(
                        Finding(
                            FindingKind.OBJECT_FOREIGN, "", prefix, "a strange name"
                        )
                    )
                    continue
                if name.suffix == SEAL:
                    seals[info.key] = name
                else:
                    stored[info.key] = info
        async for key, data in _read(self._archive.locked, seals, MAX_SEAL):
            name = seals[key]
            try:
                self._believe(name, data)
            except SealError as error:
                refused.add(name.id)
                findings.append(
                    Finding(FindingKind.SEAL_REFUSED, name.id, key, str(error))
                )
        expected = {
            one.key: one for said in self._stated.values() for one in said.objects
        }
        for key, one in expected.items():
            recording_id = parse_dated(key).id
            if key not in stored and recording_id not in gone:
                findings.append(Finding(FindingKind.OBJECT_MISSING, recording_id, key))
            elif key in stored and stored[key].size != one.size:
                findings.append(Finding(FindingKind.OBJECT_ALTERED, recording_id, key))
        unsealed = set()
        for key in stored.keys() - expected.keys():
            recording_id = parse_dated(key).id
            if recording_id in self._stated:
                findings.append(Finding(FindingKind.OBJECT_FOREIGN, recording_id, key))
            elif recording_id not in refused:
                unsealed.add(recording_id)
        findings += [Finding(FindingKind.SEAL_MISSING, one, one) for one in unsealed]
        findings += [
            finding
            async for finding in self._digests(
                {
                    key: one
                    for key, one in expected.items()
                    if key in stored
                    and stored[key].size == one.size
                    and (audio or key.startswith(f"{Folder.MANIFEST}/"))
                }
            )
        ]
        return findings

    async def envelopes(self, erased: Iterable[str]) -> list[Finding]:
        """Recordings that nobody can open any more."""
        there = {
            stored.name.id
            async for stored in self._archive.list_day(Folder.KEYS, self._day)
        }
        return [
            Finding(FindingKind.ENVELOPE_MISSING, one, one)
            for one in self._stated.keys() - there - set(erased)
        ]

    def _believe(self, name: Dated, data: bytes) -> None:
        """Take a seal for what it says. Raises SealError."""
        statement = verify_seal(data, self._hosts)
        if (statement.id, statement.day) != (name.id, self._day.isoformat()):
            raise SealError("The seal is that of another recording.")
        self._stated[name.id] = statement
        self.links.append(_link(data, statement))

    async def _digests(self, expected: dict[str, SealedFile]) -> AsyncIterator[Finding]:
        keys = list(expected)
        for start in range(0, len(keys), AT_ONCE):
            batch = keys[start : start + AT_ONCE]
            sums = await asyncio.gather(
                *(_sha256(self._archive.locked, key) for key in batch)
            )
            for key, found in zip(batch, sums, strict=True):
                if found != expected[key].sha256:
                    recording_id = parse_dated(key).id
                    yield Finding(FindingKind.OBJECT_ALTERED, recording_id, key)


async def _links(archive: Archive, day: date, roster: Roster) -> AsyncIterator[Link]:
    """The good seals of another day; what is wrong with it is its own business."""
    hosts = roster.host_keys(day)
    keys = [
        stored.key
        async for stored in archive.list_day(Folder.MANIFEST, day)
        if stored.name.suffix == SEAL
    ]
    async for _, data in _read(archive.locked, keys, MAX_SEAL):
        try:
            yield _link(data, verify_seal(data, hosts))
        except SealError:
            continue


def _link(data: bytes, statement: Statement) -> Link:
    return Link(
        id=statement.id,
        day=date.fromisoformat(statement.day),
        place=seal_place(data, statement),
        previous=statement.previous,
    )


async def _read(
    backend: StorageBackend, keys: Iterable[str], limit: int
) -> AsyncIterator[tuple[str, bytes]]:
    """Small objects, several at a time, in their order; one too large is empty."""

    async def read(key: str) -> bytes:
        try:
            return await read_object(backend, key, limit)
        except ObjectTooLargeError:
            return b""

    waiting = list(keys)
    for start in range(0, len(waiting), AT_ONCE):
        batch = waiting[start : start + AT_ONCE]
        for key, data in zip(
            batch, await asyncio.gather(*map(read, batch)), strict=True
        ):
            yield key, data


async def _sha256(backend: StorageBackend, key: str) -> str:
    """The digest of an object of any size; empty if it went meanwhile."""
    state = hashlib.sha256()
    try:
        async for chunk in backend.get(key):
            state.update(chunk)
    except ObjectMissingError:
        return ""
    return state.hexdigest()
