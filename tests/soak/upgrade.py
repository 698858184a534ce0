"""Live calls while the agent is upgraded by its Debian package, and what that cost.

    scripts/soak upgrade [--suite bookworm|trixie] [--rounds 3] [--calls 10]

Each round is a package of the next revision, installed in a booted system while calls
talk; then every recording is compared with what was sent, click by click. Needs root.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
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
    """What something cost the calls that talked meanwhile."""

    seconds: float
    "How long it took."
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
    site: Site, deed: Callable[[], object], *, calls: int, seed: int = 1
) -> Cost:
    """Have calls talk while `deed` is done, and for a second more."""
    known = set(site.daemon.stored(".key.age"))
    load = new_load(site.daemon, calls, talk=1000.0, rate=10.0, seed=seed)
    doing = threading.Thread(target=deed)
    began = over = 0.0

    def watch(now: float) -> None:
        nonlocal began, over
        if not began:
            if sum(bool(call.talked) for call in load.calls) == calls:
                began = now
                doing.start()
        elif not over and not doing.is_alive():
            over = now
        if over and now > over + 1.0:
            for call in load.calls:
                if not call.ended:
                    load._hang_up(call, now)
            return
        load._at(now + 0.05, watch)

    load._at(time.monotonic() + 0.2, watch)
    try:
        load.run(limit=240)
    finally:
        load.close()
    wait_for_rows(site.daemon, load.calls)
    found = wait_for_recordings(site.daemon, known, calls)
    clicks = Clicks()
    for call in load.calls:
        clicks.examine(call, found[f"+3584{call.number:08d}"].wav)
        clicks.heard(call)
    return Cost(
        seconds=over - began,
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
