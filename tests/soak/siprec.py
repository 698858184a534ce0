"""Recording sessions of every kind, again and again, while media workers are killed.

    python -m tests.soak.siprec [--rounds 20] [--times 3] [--seed 1]

In each round clients of our own play the flows of `tests.lab.siprec.flows`, several
times each and all at once; in every other round a media worker is killed with -9 in the
middle. Afterwards every frame that was said must be in a recording, on its side and
nowhere else; what the daemon holds in memory is told beside it.
"""

import argparse
import asyncio
import os
import random
import signal
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.usage import machine, usage
from tests.lab.siprec.flows import FLOWS
from tests.lab.siprec.played import Channels, play_all
from tests.lab.siprec.scene import Take
from tests.lab.siprec.site import Site, recording_server
from tests.lab.standing import assert_well

WHOLE = (
    *("basic", "hold", "transfer", "conference", "mixed", "persistent", "later"),
    *("party_change", "offerless", "inactive_first", "two_laws", "over_tcp"),
    "over_tls",
)
"Flows in which all that is said is to be recorded."
TWO_SIDED = frozenset(WHOLE) - {"mixed", "conference"}
CUT = range(-2, 12)
"Frames around a change that are not looked for."
ROUND = 4.0
"Seconds in which a round's flows talk."


@dataclass
class Found:
    """What the recordings of some rounds hold of what was said."""

    sessions: int = 0
    recordings: int = 0
    said: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    "Frames by flow."
    misplaced: int = 0
    "Frames on the side of somebody else."
    unrecorded: list[str] = field(default_factory=list)
    "Flows without any recording."

    def add(self, take: Take) -> None:
        """Count in what was found of one flow."""
        self.sessions += 1
        self.recordings += len(take.recordings)
        if not take.recordings:
            self.unrecorded.append(take.name)
        every = [Channels(recording) for recording in take.recordings]
        # A recording ends, and the next begins, in the middle of a frame; a busy daemon
        # hears late of what has changed.
        cut = {mark + n for mark in take.marks.values() for n in CUT}
        for number, stream in enumerate(take.streams):
            there: set[int] = set()
            for channels in every:
                sides = [channels.left(stream), channels.right(stream)]
                there.update(*(side.frames for side in sides if side))
                if take.name in TWO_SIDED and (other := sides[1 - number]):
                    self.misplaced += len(other.frames)
            self.said += len(stream.said)
            self.lost[take.name] += len(stream.said - there - cut)


async def kill_a_worker(site: Site, rng: random.Random) -> None:
    """kill -9 while the flows talk."""
    await asyncio.sleep(rng.uniform(0.3, ROUND / 2))
    while not (workers := site.daemon.processes()["worker"]):
        await asyncio.sleep(0.05)
    os.kill(rng.choice(workers), signal.SIGKILL)


async def one_round(site: Site, times: int, rng: random.Random, *, kill: bool) -> Found:
    """Every flow so many times, all at once."""
    flows = {f"{name} {n}": FLOWS[name] for name in WHOLE for n in range(times)}
    async with asyncio.TaskGroup() as group:
        playing = group.create_task(play_all(site, flows), name="flows")
        if kill:
            group.create_task(kill_a_worker(site, rng), name="killer")
    found = Found()
    for take in playing.result().takes.values():
        found.add(take)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="soak-siprec-") as scratch:
        site = recording_server(Path(scratch) / "site", workers=2, spares=1)
        try:
            site.daemon.start()
            for number in range(arguments.rounds):
                kill = number % 2 == 1
                found = asyncio.run(one_round(site, arguments.times, rng, kill=kill))
                used = usage(site.daemon)
                print(
                    f"round {number + 1}{' (worker killed)' if kill else ''}:"
                    f" {found.sessions} sessions, {found.recordings} recordings,"
                    f" {found.said} frames said, {found.lost.total()} lost"
                    f" {dict(+found.lost)},"
                    f" {found.misplaced} misplaced,"
                    f" without a recording: {found.unrecorded or 'none'};"
                    f" {used.rss:.0f} MB, {used.cpu:.1f} s CPU since the start",
                    flush=True,
                )
            assert_well(site.daemon)
            site.stop()
        finally:
            site.daemon.kill()


if __name__ == "__main__":
    main()
