"""Live calls while the agent is upgraded by its Debian package, and what that cost.

    scripts/soak upgrade [--suite bookworm|trixie] [--rounds 3] [--calls 10]

Each round is a package of the next revision, installed in a booted system while calls
talk; then every recording is compared with what was sent, click by click. Needs root.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.bench.usage import machine
from tests.lab.booted import booted
from tests.lab.packaged import NOTICE, PYTHONS, Site, build
from tests.soak.chaos import wait_for_recordings, wait_for_rows
from tests.soak.clicks import Clicks
from tests.soak.loads import new_load


@dataclass
class Cost:
    """What some deeds cost the calls that talked meanwhile."""

    seconds: float
    "How long they took."
    dropped: list[str]
    "Why each call that nobody hung up has ended."
    outcomes: set[str]
    "Of the recordings."
    clicks: Clicks

    def __str__(self) -> str:
        clicks = self.clicks
        return (
            f"{self.seconds:.1f} s, {len(self.dropped)} calls dropped; "
            f"{clicks.expected} frames: {clicks.lost} lost, {clicks.misplaced} "
            f"misplaced, {clicks.unheard} not heard by the other phone"
        )


def talk_through(
    site: Site,
    *deeds: Callable[[], object],
    calls: int,
    later: int = 0,
    seen: Callable[[], object] = lambda: None,
    seed: int = 1,
) -> Cost:
    """Have calls talk while each of the `deeds` is done, and for a second more.

    After each of them `later` calls begin beside the others; while all of them talk,
    `seen` is done.
    """
    known = set(site.daemon.stored(".key.age"))
    load = new_load(site.daemon, calls, talk=1000.0, rate=10.0, seed=seed)
    took = 0.0

    def talk(count: int) -> Iterator[None]:
        while sum(bool(call.talked) for call in load.calls) < count:
            yield

    def done(what: Callable[[], object]) -> Iterator[None]:
        with ThreadPoolExecutor(1) as thread:
            doing = thread.submit(what)
            while not doing.done():
                yield
        doing.result()

    def course() -> Generator[None, None, None]:
        nonlocal took
        yield from talk(calls)
        for number, deed in enumerate(deeds, 1):
            began = time.monotonic()
            yield from done(deed)
            took += time.monotonic() - began
            load.add_calls(later)
            yield from talk(calls + number * later)
            yield from done(seen)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            yield
        for call in load.calls:
            if not call.ended:
                load._hang_up(call, time.monotonic())

    steps = course()

    def watch(now: float) -> None:
        for _ in itertools.islice(steps, 1):
            load._at(now + 0.05, watch)

    load._at(time.monotonic() + 0.2, watch)
    try:
        load.run(limit=240)
    finally:
        steps.close()
        load.close()
    wait_for_rows(site.daemon, load.calls)
    found = wait_for_recordings(site.daemon, known, calls + len(deeds) * later)
    clicks = Clicks()
    for call in load.calls:
        clicks.examine(call, found[f"+3584{call.number:08d}"].wav)
        clicks.heard(call)
    return Cost(
        seconds=took,
        dropped=[c.failed or "ended" for c in load.calls if not c.hung_up or c.failed],
        outcomes={recording.manifest.outcome for recording in found.values()},
        clicks=clicks,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=PYTHONS, default="bookworm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=10)
    arguments = parser.parse_args()
    print(f"machine: {machine()}; Debian {arguments.suite}", flush=True)
    with tempfile.TemporaryDirectory(prefix="upgrade-") as scratch:
        folder = Path(scratch)
        with booted(folder / "system", suite=arguments.suite) as system:
            site = Site(system, NOTICE)
            site.install(build(folder, arguments.suite))
            site.configure()
            site.start()
            for number in range(1, arguments.rounds + 1):
                package = build(folder, arguments.suite, revision=number + 1)
                cost = talk_through(
                    site,
                    lambda package=package: site.install(package),
                    calls=arguments.calls,
                    seed=number,
                )
                print(f"{number} of {arguments.rounds}: {cost}", flush=True)


if __name__ == "__main__":
    main()
