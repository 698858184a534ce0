"""What an outage of the broker costs the daemon in memory: nothing, but room on disk.

    python -m tests.soak.outage --calls 200 2000 --rate 6 --talk 1

The same calls through a daemon whose broker is there, one whose broker has stalled (it
keeps its connection and says nothing, or takes new ones and says nothing), and one
whose broker is not there at all. What the main process holds is read when all before
is sealed and stored: the difference is what the outage costs. Afterwards the broker is
back, and every event must come, in order, none twice but with the same id.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.usage import machine
from tests.lab.mosquitto import Mosquitto
from tests.lab.subscriber import Subscriber, first_of_each
from tests.soak.day import Site
from tests.soak.loads import new_load

WARM = 100
"Calls before anything is measured: all is loaded, and every table has its first size."
ALLOWED = 4.0
"MiB that may lie between two runs of one process without anything to explain it."
PATIENCE = 300.0
REST = 35.0
"Seconds before it is read: so long SIP remembers a call that is over (64*T1)."
BROKERS: dict[str, tuple[Callable[[Mosquitto], None], bool]] = {
    "healthy": (lambda _: None, False),
    "stalled": (Mosquitto.pause, False),
    "refused": (Mosquitto.kill, True),
}
"What happens to the broker, and whether it is to be started again."


@dataclass
class Result:
    """What one daemon held."""

    broker: str
    held: list[float] = field(default_factory=list)
    "MiB of the main process: warm, then after each number of calls."
    waiting: list[int] = field(default_factory=list)
    "Events in the outbox at those moments."
    events: int = 0
    delivered: float = 0.0
    "Seconds from the broker's return until the last of them."


def held(site: Site) -> float:
    """MiB that the main process holds now, of its own: no page of a file counts."""
    assert site.daemon.process is not None
    status = Path(f"/proc/{site.daemon.process.pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


async def place(site: Site, calls: int, rate: float, talk: float, seed: int) -> None:
    """So many calls; back when all of them are sealed, stored and forgotten."""
    load = new_load(site.daemon, calls, talk, rate=rate, seed=seed)
    await asyncio.to_thread(load.run, limit=calls / rate + talk + 60)
    load.close()
    begun = time.monotonic()
    while await asyncio.to_thread(site.daemon.waiting):
        if time.monotonic() > begun + PATIENCE:
            raise SystemExit("the recordings were not stored in time")
        await asyncio.sleep(1.0)


async def suffer(
    site: Site, broker: str, counts: list[int], rate: float, talk: float
) -> Result:
    """One daemon, through all of it."""
    harm, restart = BROKERS[broker]
    result = Result(broker)
    await site.broker.start()
    async with Subscriber(site.broker.plain) as reader:
        await asyncio.to_thread(site.daemon.start)
        await place(site, WARM, rate, talk, seed=1)
        harm(site.broker)
        for seed, calls in enumerate((0, *counts), start=2):
            if calls:
                await place(site, calls, rate, talk, seed)
            await asyncio.sleep(REST)
            result.held.append(held(site))
            result.waiting.append(site.events_waiting())
        begun = time.monotonic()
        if restart:
            await site.broker.start()
        elif harm is Mosquitto.pause:
            site.broker.go_on()
        await until_told(site, reader)
        result.delivered = time.monotonic() - begun
        result.events = len(judge(site, reader))
    return result


async def until_told(site: Site, reader: Subscriber) -> None:
    """Wait until each recording's last event has come."""
    rows = await asyncio.to_thread(site.daemon.rows)
    wanted = {one.recording_id for row in rows for one in row.recordings}

    def all_came() -> bool:
        return wanted <= {
            e["recording_id"] for e in reader.events() if e["kind"] == "purged"
        }

    begun = time.monotonic()
    while not all_came():
        if time.monotonic() > begun + PATIENCE:
            raise SystemExit("not every event came in time")
        await asyncio.sleep(0.5)


def judge(site: Site, reader: Subscriber) -> list[dict[str, object]]:
    """Every call's events, numbered from 1 on without a hole, in that order."""
    numbers: dict[str, list[int]] = defaultdict(list)
    events = first_of_each(reader.events())
    for event in events:
        numbers[event["call_id"]].append(event["sequence"])
    rows = site.daemon.rows()
    wrong = [
        row.call_id
        for row in rows
        if (told := numbers[row.call_id]) != list(range(1, len(told) + 1)) or not told
    ]
    if wrong:
        raise SystemExit(f"{len(wrong)} calls were told wrongly, {wrong[0]} among them")
    return events


def report(results: list[Result], counts: list[int]) -> bool:
    """Print them side by side; whether the outages cost no memory."""
    steps = ["when warm", *(f"after {calls} calls" for calls in counts)]
    print(f"{'main, MiB (events waiting)':28}" + "".join(f"{s:>20}" for s in steps))
    for one in results:
        cells = [
            f"{mib:.1f} ({n})" for mib, n in zip(one.held, one.waiting, strict=True)
        ]
        print(f"{one.broker:28}" + "".join(f"{cell:>20}" for cell in cells))
    for one in results:
        print(
            f"{one.broker}: {one.events} events, the last {one.delivered:.1f} s after"
        )
    grown = {one.broker: one.held[-1] - one.held[0] for one in results}
    for broker, mib in grown.items():
        print(f"{broker}: grown by {mib:.1f} MiB")
    least = min(grown.values())
    return all(mib <= least + ALLOWED for mib in grown.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--brokers", nargs="+", choices=BROKERS, default=[*BROKERS])
    parser.add_argument("--rate", type=float, default=6.0)
    parser.add_argument("--talk", type=float, default=1.0)
    given = parser.parse_args()
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.1f}")
    results = []
    for broker in given.brokers:
        with tempfile.TemporaryDirectory(prefix="outage-") as scratch:
            site = Site(Path(scratch))
            try:
                results.append(
                    asyncio.run(
                        suffer(site, broker, given.calls, given.rate, given.talk)
                    )
                )
            finally:
                site.close()
    sys.exit(not report(results, given.calls))


if __name__ == "__main__":
    main()
