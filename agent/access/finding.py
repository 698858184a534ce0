"""Finding recordings: by number, by officer, by day.

With a gate, the gate looks and logs that somebody did. Without one, quality staff find
a number by its blind value where they hold the index keys; what was stored without a
key of its month, or all of it where they hold none, is opened: each manifest of the
window, which takes its time.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from agent.access.desk import Desk
from agent.access.gate_client import FoundHits
from agent.access.reason import Reason
from agent.access.tags import read_manifest
from agent.archive.index import Hit, find, find_unindexed
from agent.archive.store import Archive, NotFoundError
from agent.common.errors import AgentError
from agent.formats.age import NoMatchError
from agent.formats.blind_index import IndexKeys, blind, month_key
from agent.formats.envelope import open_envelope
from agent.formats.layout import Domain, month_of
from agent.formats.manifest import Manifest

MAX_DAYS: Final = 800
"A window's: what is kept for a year fits, and what is held for another."


class FindError(AgentError):
    """What is looked for is not said well."""

    hint = "Give --from and --to as days like 2026-11-23, not more than 800 of them."


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of local days, both included: those on which recordings ended."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if not 0 <= (self.last - self.first).days < MAX_DAYS:
            raise FindError("The window of days is too long, or ends before it begins.")

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def days(self) -> Iterator[date]:
        """Each day, the earliest first."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(number)

    def months(self) -> list[str]:
        """Each month that a day of it lies in, as the index names it."""
        return sorted({month_of(day) for day in self.days()})


@dataclass(frozen=True, slots=True)
class FoundRecordings:
    """What was found, in the order of days."""

    hits: tuple[Hit, ...]
    truncated: bool = False
    "Whether there is more: ask for fewer days."
    unopened: int = 0
    "Recordings of the window that these keys do not open: they were not looked into."


async def find_number(
    desk: Desk,
    number: str,
    domain: Domain,
    window: Window,
    reason: Reason,
    *,
    on_day: Callable[[date], None] = lambda _: None,
) -> FoundRecordings:
    """Every recording of a number: a caller's, or an officer's.

    `on_day` is told each day whose manifests are opened. Raises GateError,
    StorageError, and what a broken manifest raises (AgeError, ManifestError).
    """
    if desk.gate is not None:
        gate = desk.gate
        return await _by_gate(
            lambda first, last: gate.find(
                reason, (first, last), number=number, domain=domain
            ),
            window,
        )
    hits: set[Hit] = set()
    truncated, unopened = False, 0
    for archive in desk.archives:
        found, unopened_here = _Indexed(), 0
        if desk.index is not None:
            found = await _by_index(archive, desk.index, number, domain, window)
        async for hit in _to_be_opened(archive, window, found, on_day):
            manifest = await _manifest(archive, desk, hit)
            if manifest is None:
                unopened_here += 1
            elif number in _numbers(manifest, domain):
                hits.add(hit)
        hits |= found.hits
        truncated |= found.truncated
        unopened = max(unopened, unopened_here)
    return FoundRecordings(tuple(sorted(hits)), truncated, unopened)


async def find_days(desk: Desk, window: Window, reason: Reason) -> FoundRecordings:
    """Every recording of some days. Raises GateError, StorageError."""
    if desk.gate is not None:
        gate = desk.gate
        return await _by_gate(
            lambda first, last: gate.find(reason, (first, last)), window
        )
    hits = {
        Hit(day, recording_id)
        for archive in desk.archives
        for day in window.days()
        for recording_id in await archive.recordings(day)
    }
    return FoundRecordings(tuple(sorted(hits)))


async def _by_gate(
    ask: Callable[[date, date], Awaitable[FoundHits]], window: Window
) -> FoundRecordings:
    """Ask the gate; where it tells only a part, each half of the window.

    What is truncated then is a single day.
    """
    hits: set[Hit] = set()
    truncated = False
    waiting = [(window.first, window.last)]
    while waiting:
        first, last = waiting.pop()
        found = await ask(first, last)
        hits |= {Hit(hit.day, hit.id) for hit in found.hits}
        if found.truncated and first < last:
            middle = first + (last - first) // 2
            waiting += [(first, middle), (middle + timedelta(1), last)]
        else:
            truncated |= found.truncated
    return FoundRecordings(tuple(sorted(hits)), truncated)


async def find_id(
    desk: Desk, recording_id: str, *, near: date | None = None
) -> FoundRecordings:
    """The day of a recording, if there is such; with a gate, if it is one's own.

    Raises GateError, LayoutError, StorageError.
    """
    if desk.gate is not None:
        return FoundRecordings(
            (Hit((await desk.gate.state(recording_id)).day, recording_id),)
        )
    for archive in desk.archives:
        day = await archive.locate(recording_id, near)
        if day is not None:
            return FoundRecordings((Hit(day, recording_id),))
    return FoundRecordings(())


@dataclass(frozen=True, slots=True)
class _Indexed:
    """What the index told, and what it could not tell."""

    hits: frozenset[Hit] = frozenset()
    silent: frozenset[str] | None = None
    "Months of which it tells nothing; None: all."
    unindexed: tuple[Hit, ...] = ()
    truncated: bool = False


async def _by_index(
    archive: Archive,
    keys: IndexKeys | bytes,
    number: str,
    domain: Domain,
    window: Window,
) -> _Indexed:
    def value(month: str, domain: Domain) -> str | None:
        if isinstance(keys, IndexKeys):
            return keys.blind(month, domain, number)
        return blind(month_key(keys, month), domain, number)

    months = window.months()
    found = await find(archive, value, months, domain)
    unindexed = await find_unindexed(archive, set(months) - set(found.unkeyed))
    return _Indexed(
        frozenset(hit for hit in found.hits if hit.day in window),
        frozenset(found.unkeyed),
        tuple(hit for hit in unindexed if hit.day in window),
        found.truncated,
    )


async def _to_be_opened(
    archive: Archive,
    window: Window,
    indexed: _Indexed,
    on_day: Callable[[date], None],
) -> AsyncIterator[Hit]:
    """Recordings of which nobody knows whose they are without opening them."""
    for hit in indexed.unindexed:
        yield hit
    for day in window.days():
        if indexed.silent is None or month_of(day) in indexed.silent:
            on_day(day)
            for recording_id in await archive.recordings(day):
                yield Hit(day, recording_id)


async def _manifest(archive: Archive, desk: Desk, hit: Hit) -> Manifest | None:
    """A recording's manifest; None if it is not for these keys, or there is none.

    One whose host died has a journal instead: nobody is found by that.
    """
    try:
        envelope = await archive.envelope(hit.id, hit.day)
        key = open_envelope(envelope, desk.identities)
    except (NotFoundError, NoMatchError):
        return None
    return await read_manifest(archive, hit.id, hit.day, key)


def _numbers(manifest: Manifest, domain: Domain) -> set[str]:
    if domain == "caller":
        return set(manifest.callers)
    return {officer.number for officer in manifest.officers}
