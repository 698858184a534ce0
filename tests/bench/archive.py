"""A year of recordings in central storage: finding, listing, and its audit log.

    python -m tests.bench.archive [--recordings 100000] [--rows 100000] [--store rgw]

Names are all that finding looks at, so envelopes are small and audio is left out. The
directory is filled by plain writes, the gateway through the backend, which takes long.
With --copied the days on which storage got its objects say nothing, as after a copy.
"""

import argparse
import asyncio
import functools
import os
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time as clock_time, timedelta
from pathlib import Path
from typing import Final, TypeVar

from agent.archive.audit_reports import touched
from agent.archive.audit_verification import read_rows, verify_log
from agent.archive.index import find
from agent.archive.store import Archive
from agent.formats.audit import (
    GENESIS,
    Act,
    Page,
    digest_of,
    make_row,
    sign_page,
    utc_day,
)
from agent.formats.blind_index import blind, month_key
from agent.formats.layout import (
    Domain,
    Folder,
    audit_key,
    envelope_key,
    index_key,
    month_of,
)
from agent.formats.sshsig import SigningKey
from agent.upload.backend import StorageBackend
from agent.upload.backends.directory import DirectoryBackend
from tests.archive.shelves import id_of
from tests.bench.stores import gateway
from tests.bench.usage import machine

ROOT: Final = bytes(range(32))
KEY: Final = SigningKey.from_seed(bytes(32))
LAST: Final = date(2026, 11, 29)
NOON: Final = clock_time(12)
DAYS: Final = 365
OFFICERS: Final = 50
CALLS_EACH: Final = 4
"Of a caller in the year."
AT_ONCE: Final = 32
T = TypeVar("T")
Entry = tuple[str, bytes, date]
"Name, bytes, and the day on which storage got it."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument(
        "--store", nargs="+", choices=("directory", "rgw"), default=["directory"]
    )
    parser.add_argument("--copied", action="store_true")
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    for store in arguments.store:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            asyncio.run(measure(store, Path(scratch), arguments))


async def measure(store: str, scratch: Path, arguments: argparse.Namespace) -> None:
    """Fill one storage, and print how long each question takes."""
    print(f"\n{store}: {arguments.recordings} recordings, {arguments.rows} audit rows")
    opened = directories(scratch) if store == "directory" else gateway(scratch)
    async with opened as (locked, state):
        started = time.monotonic()
        days = not arguments.copied
        entries = names(arguments.recordings)
        await fill(store, state, scratch / "state", entries, days=days)
        await fill(store, locked, scratch / "locked", log(arguments.rows))
        shown("filled in", time.monotonic() - started)
        archive = Archive(
            locked,
            state,
            clock=lambda: (
                int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()) * 10**9
            ),
        )
        await ask(archive, arguments)


async def ask(archive: Archive, arguments: argparse.Namespace) -> None:
    """Each question that people and the sweep have."""
    months = sorted({month_of(LAST - timedelta(n)) for n in range(DAYS + 1)})
    recordings = arguments.recordings
    caller = number_of(random.Random(1).randrange(max(1, recordings // CALLS_EACH)))
    questions: tuple[tuple[str, str, Domain, list[str]], ...] = (
        ("find a caller, a year", caller, "caller", months),
        ("find an officer, a month", officer_of(7), "officer", months[-2:-1]),
        ("find an officer, a year", officer_of(7), "officer", months),
    )
    for what, number, domain, among in questions:
        asked = functools.partial(find, archive, blinding(number), among, domain)
        found = await timed(what, asked)
        print(f"{'':36}{len(found.hits)} hits, {found.missing} without a recording")
    some = id_of(recordings // 3)
    await timed("locate by id alone", lambda: archive.locate(some))
    await timed("locate an id that is none", lambda: archive.locate(id_of(1 << 40)))
    day = await timed("list a day", lambda: archive.recordings(LAST - timedelta(100)))
    print(f"{'':36}{len(day)} recordings")
    await timed("days that have any", lambda: counted(archive.days(Folder.KEYS)))
    report = await timed(
        "verify the audit log",
        lambda: verify_log(archive.locked, "gate", [KEY.public], {}),
    )
    print(f"{'':36}{report.rows} rows, {len(report.findings)} findings")

    async def breach() -> int:
        rows = [row async for row in read_rows(archive.locked, "gate", [KEY.public])]
        return len(touched(rows, "p-7").recordings)

    print(f"{'':36}{await timed('what a person touched, a year', breach)} recordings")


async def timed(what: str, act: Callable[[], Awaitable[T]]) -> T:
    """Do it, and print how long it took, and the most memory there has been."""
    started = time.monotonic()
    result = await act()
    shown(what, time.monotonic() - started)
    return result


def shown(what: str, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:36}{seconds * 1000:10.1f} ms     peak {peak:.0f} MB")


async def counted(items: AsyncIterator[object]) -> int:
    return len([item async for item in items])


# -- what is stored -----------------------------------------------------------------


def names(recordings: int) -> Iterator[Entry]:
    """Each recording's envelope and its two entries in the index."""
    keys = {}
    rng = random.Random(2)
    callers = max(1, recordings // CALLS_EACH)
    for number in range(recordings):
        day = LAST - timedelta(rng.randrange(DAYS))
        month = month_of(day)
        key = keys.setdefault(month, month_key(ROOT, month))
        recording_id = id_of(number)
        yield envelope_key(day, recording_id), b"envelope", day
        of: tuple[tuple[Domain, str], ...] = (
            ("caller", number_of(number % callers)),
            ("officer", officer_of(number % OFFICERS)),
        )
        for domain, said in of:
            entry = index_key(month, domain, blind(key, domain, said), recording_id)
            yield entry, b"", day


def log(rows: int) -> Iterator[Entry]:
    """A year's audit log, each row an object of its own, as rare accesses are."""
    first = int(datetime(2025, 11, 30, tzinfo=UTC).timestamp()) * 10**9
    step = DAYS * 86_400 * 10**9 // max(1, rows)
    previous, day, sequence = GENESIS, utc_day(first), 1
    for number in range(rows):
        now = first + number * step
        acts = [(Act.RELEASE, id_of(number), {})]
        if utc_day(now) > day:
            acts.insert(0, (Act.ROLL, "", {"day": utc_day(now).isoformat()}))
        for act, recording_id, detail in acts:
            row = make_row(
                sequence, now, f"p-{number % 20}", act, purpose="quality",
                recording_id=recording_id, detail=detail,
            )  # fmt: skip
            page = Page(writer="gate", first=sequence, previous=previous, rows=(row,))
            data = sign_page(page, KEY)
            yield audit_key("gate", day, sequence), data, day
            previous, sequence = digest_of(data), sequence + 1
            day = page.rolls_to() or day


def blinding(number: str) -> Callable[[str, Domain], str | None]:
    return lambda month, domain: blind(month_key(ROOT, month), domain, number)


def number_of(caller: int) -> str:
    return f"+35840{caller:07}"


def officer_of(officer: int) -> str:
    return f"+3589{officer:07}"


@asynccontextmanager
async def directories(
    scratch: Path,
) -> AsyncIterator[tuple[StorageBackend, StorageBackend]]:
    """Two directories of one disk."""
    for place in ("locked", "state"):
        (scratch / place).mkdir()
    yield DirectoryBackend(scratch / "locked"), DirectoryBackend(scratch / "state")


async def fill(
    store: str,
    backend: StorageBackend,
    root: Path,
    entries: Iterator[Entry],
    *,
    days: bool = False,
) -> None:
    """Store what is listed; with `days` as on the days it came, where that can be."""
    if store == "directory":
        made: set[Path] = set()
        for key, data, day in entries:
            path = root / key
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            path.write_bytes(data)
            if days:
                noon = datetime.combine(day, NOON, UTC).timestamp()
                os.utime(path, (noon, noon))
        return

    async def some() -> None:
        for key, data, _ in entries:
            await backend.put(key, data)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    main()
