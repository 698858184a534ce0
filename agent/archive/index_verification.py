"""A month's index against the recordings of that month: what it hides, or invents.

The index is not signed: its entries are names, and who can write there can move them.
Without any key it shows whether each entry has a recording and each recording an entry;
whose number an entry is under shows who opens the manifest and holds the month's key.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from agent.archive.index import days_of
from agent.archive.store import Archive
from agent.formats.layout import Folder, IndexEntry, LayoutError, parse_index


class IndexFault(StrEnum):
    """What is wrong with an index."""

    STRANGE = "index-strange"
    "An object whose name is no entry's; it stands in no report."
    DANGLING = "index-dangling"
    "It names a recording that is not there, and that no tombstone knows."
    ABSENT = "index-absent"
    "A recording that is found by none of its numbers, or not by this one."
    FALSE = "index-false"
    "It leads from a number to a recording that is not that number's."


@dataclass(frozen=True, slots=True, order=True)
class IndexFinding:
    """One thing that is wrong."""

    fault: IndexFault
    id: str
    "The recording's; empty where it is not known."
    domain: str
    "`caller`, `officer` or `unindexed`; empty where it is not known."


class MonthIndex:
    """All entries of a month, by recording."""

    def __init__(self, month: str, keys: Iterable[str]) -> None:
        """`keys` are the names of all objects below `index/<month>`."""
        self.month = month
        self.strange = 0
        self._entries: dict[str, set[IndexEntry]] = {}
        for key in keys:
            try:
                entry = parse_index(key)
            except LayoutError:
                self.strange += 1
                continue
            self._entries.setdefault(entry.id, set()).add(entry)

    @property
    def ids(self) -> frozenset[str]:
        """The recordings that are named."""
        return frozenset(self._entries)

    def against(self, recordings: Iterable[str]) -> list[IndexFinding]:
        """Hold it against the ids of the month's recordings."""
        there = set(recordings)
        dangling = [
            IndexFinding(IndexFault.DANGLING, entry.id, _domain(entry))
            for one in self.ids - there
            for entry in self._entries[one]
        ]
        absent = [IndexFinding(IndexFault.ABSENT, one, "") for one in there - self.ids]
        strange = [IndexFinding(IndexFault.STRANGE, "", "")] * self.strange
        return sorted(strange + dangling + absent)

    def compare(self, recording_id: str, names: Iterable[str]) -> list[IndexFinding]:
        """Hold one recording's entries against the names that it must have.

        One that is among the unindexed lacks none: who searches opens it.
        """
        expected = {parse_index(name) for name in names}
        held = self._entries.get(recording_id, set())
        unindexed = {entry for entry in held if entry.domain is None}
        absent = set() if unindexed else expected - held
        return sorted(
            [
                IndexFinding(IndexFault.ABSENT, recording_id, _domain(entry))
                for entry in absent
            ]
            + [
                IndexFinding(IndexFault.FALSE, recording_id, _domain(entry))
                for entry in held - expected - unindexed
            ]
        )


async def read_month(archive: Archive, month: str) -> MonthIndex:
    """Every entry of a month, by listing alone. Raises StorageError."""
    listed = archive.state.list(f"{Folder.INDEX}/{month}")
    return MonthIndex(month, [info.key async for info in listed])


async def verify_index(
    archive: Archive,
    index: MonthIndex,
    is_erased: Callable[[str], Awaitable[bool]],
) -> list[IndexFinding]:
    """Hold a month's index against what is stored; no key is needed.

    Of the running month a recording may be on its way: its entry came, or it came,
    while this was read. What is found is therefore looked at a second time.

    Raises StorageError, and what `is_erased` raises.
    """
    findings = index.against(await _recordings(archive, index.month))
    if not any(finding.id for finding in findings):
        return findings
    again = await read_month(archive, index.month)
    still = set(again.against(await _recordings(archive, index.month)))
    return [
        finding
        for finding in findings
        if finding in still
        and not (finding.fault is IndexFault.DANGLING and await is_erased(finding.id))
    ]


async def _recordings(archive: Archive, month: str) -> list[str]:
    return [
        recording_id
        for day in days_of(month)
        for recording_id in await archive.recordings(day)
    ]


def _domain(entry: IndexEntry) -> str:
    return entry.domain or "unindexed"
