"""A sweep in a year of recordings: what its dry run of a day takes, and the day's end.

    python -m tests.bench.sweep [--recordings 100000] [--day 3000] [--store rgw]

As many recordings lie on the day that is due as `--day` says, the others on the year
after it. There is no gate: with one, what is kept costs two layers of age each.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from agent.archive.states import States
from agent.archive.store import Archive
from agent.formats.layout import dated
from agent.retention.policy import Period, Policy
from agent.retention.site import Place, Site
from agent.retention.sweep import Sweep
from tests.archive.shelves import id_of
from tests.bench.archive import DAYS, LAST, Entry, directories, fill, names, shown
from tests.bench.stores import gateway
from tests.bench.usage import machine

YEAR: Final = Policy(Period.parse("P1Y"))
DUE: Final = LAST - timedelta(DAYS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--day", type=int, default=3000)
    parser.add_argument("--store", choices=("directory", "rgw"), default="directory")
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        asyncio.run(measure(Path(scratch), arguments))


async def measure(scratch: Path, arguments: argparse.Namespace) -> None:
    """Fill one storage, and print how long each step takes."""
    store, recordings = arguments.store, arguments.recordings
    print(f"\n{store}: {recordings} recordings, {arguments.day} of them due")
    opened = directories(scratch) if store == "directory" else gateway(scratch)
    async with opened as (locked, state):
        started = time.monotonic()
        due = range(recordings, recordings + arguments.day)
        entries = itertools.chain(names(recordings), envelopes(due))
        await fill(store, state, scratch / "state", entries)
        await fill(store, locked, scratch / "locked", audio(due))
        shown("filled in", time.monotonic() - started)
        place = Place("bench", Archive(locked, state))
        site = Site((place,), States(state), None, None)
        sweep = Sweep(site, YEAR, wait=0, skew=float("inf"))
        now_ns = YEAR.erasable_from(DUE)
        started = time.monotonic()
        planned = [day async for day in sweep.plan(now_ns)]
        shown("dry run", time.monotonic() - started)
        print(f"{'':36}{[len(day.erase) for day in planned]} to be erased")
        started = time.monotonic()
        report = await sweep.run(now_ns)
        shown("the sweep", time.monotonic() - started)
        print(f"{'':36}{report.erased} erased, {len(report.left)} incomplete")


def envelopes(numbers: range) -> Iterator[Entry]:
    """Of the day that is due."""
    yield from entries_of(numbers, "keys", "key.age")


def audio(numbers: range) -> Iterator[Entry]:
    """Of the same recordings."""
    yield from entries_of(numbers, "audio", "wav.age")


def entries_of(numbers: range, folder: str, suffix: str) -> Iterator[Entry]:
    for number in numbers:
        yield dated(folder, DUE, f"{id_of(number)}.{suffix}"), b"sealed", DUE


if __name__ == "__main__":
    main()
