"""Live calls under a booted systemd while processes are killed, and what that cost.

    scripts/chaos --rounds 100 --calls 20 --seed 1

Each round has calls of its own, which all talk when somebody is killed with -9 at a
random moment: the media worker, main, a finisher, everything, in turn; and main in the
middle of a re-INVITE, a REFER and a PRACK, over each transport. Then every recording is
compared with what was sent, click by click. Needs root.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from tests.bench.load import Call, Load
from tests.bench.usage import machine
from tests.lab.daemon import Daemon, Recording
from tests.lab.opened import open_recording
from tests.soak.clicks import Clicks
from tests.soak.loads import new_load
from tests.soak.losses import Losses, table
from tests.soak.midway import DEEDS, TRANSPORTS, Desk, kill_midway

EVERYTHING = "everything"
SETUP = "main at set-up"
KINDS = ("worker", "main", "finisher", EVERYTHING, SETUP)
"Who is killed under many calls; in the last case half of them are being set up."
ALL = (*KINDS, *(f"{deed}/{transport}" for deed in DEEDS for transport in TRANSPORTS))
"Those, and main in the middle of something."
RECOVERY_SECONDS = 40.0
"Until the next main is ready, at most."


class Site(Protocol):
    """A daemon and its processes, whoever starts them again."""

    daemon: Daemon

    def processes(self) -> dict[str, list[int]]: ...


@dataclass
class Round:
    """One kill under the calls of one load."""

    site: Site
    load: Load
    kind: str
    rng: random.Random
    offset: int = 0
    "Of the daemon's log, when the round began."
    killed_at: float = 0.0
    hang_up_at: float = 0.0
    standing: frozenset[int] = frozenset()
    "Calls whose phones heard each other when somebody was killed."
    sent: dict[int, tuple[int, int]] = field(default_factory=dict)
    "Frames that either leg of a call had sent when all was killed."
    heard: int = 0
    takeover_ms: float | None = None
    "From the death to the first packet that a phone got again."

    def watch(self, now: float) -> None:
        """Called by the load's clock, two hundred times a second."""
        calls = self.load.calls
        if not self.killed_at:
            wanted = self.load._total // (2 if self.kind == SETUP else 1)
            if sum(bool(call.talked) for call in calls) >= wanted:
                self._arm(now)
        elif self.takeover_ms is None:
            self._look_for_audio()
        if self.hang_up_at and now > self.hang_up_at and self._recovered:
            for call in calls:
                if not call.hung_up and not call.ended:
                    self.load._hang_up(call, now)
            return
        self.load._at(now + 0.005, self.watch)

    def _arm(self, now: float) -> None:
        wait = self.rng.uniform(0.5, 2.5) if self.kind != SETUP else 0.05
        self.killed_at = now + wait
        self.hang_up_at = self.killed_at + self.rng.uniform(1.5, 2.5)
        if self.kind == "finisher":
            # It has work as soon as calls end; the others talk on.
            for call in self.load.calls[::2]:
                self.load._at(now + wait, partial(self.load._hang_up, call))
            wait += self.rng.uniform(0.1, 0.5)
        self.load._at(now + wait, self._kill)

    def _kill(self, now: float) -> None:
        processes = self.site.processes()
        kinds = processes if self.kind == EVERYTHING else [self.kind.split()[0]]
        pids = [pid for kind in kinds for pid in processes[kind]]
        if not pids and now < self.hang_up_at:
            self.load._at(now + 0.02, self._kill)
            return
        assert pids, f"there is no {self.kind} to be killed: {processes}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.killed_at, self.heard = time.monotonic(), self.load.rtp_received
        self.standing = frozenset(
            call.number
            for call in self.load.calls
            if all(leg.got_frames for leg in call.legs)
        )
        if self.kind == EVERYTHING:
            for call in self.load.calls:
                self.sent[call.number] = call.legs[0].sent, call.legs[1].sent

    def _look_for_audio(self) -> None:
        since = time.monotonic() - self.killed_at
        if since < 0.004:
            # What was in flight when it died is here at once; what follows is new.
            self.heard = self.load.rtp_received
        elif self.load.rtp_received > self.heard:
            self.takeover_ms = since * 1000

    @property
    def _recovered(self) -> bool:
        if self.kind in {"worker", "finisher"}:
            return True
        if time.monotonic() > self.killed_at + RECOVERY_SECONDS:
            return True
        settled = all(call.talked or call.ended for call in self.load.calls)
        return settled and bool(self.site.daemon.log("ready", offset=self.offset))


def run_round(
    site: Site,
    kind: str,
    *,
    calls: int,
    rng: random.Random,
    losses: Losses,
) -> None:
    """One load of calls under fire; returns when every recording is examined."""
    daemon = site.daemon
    seed = rng.getrandbits(32)
    load = new_load(daemon, calls, talk=1000.0, rate=20.0, seed=seed)
    known = set(daemon.stored(".key.age"))
    round_ = Round(site, load, kind, rng, offset=daemon.log_path.stat().st_size)
    load._at(time.monotonic() + 0.2, round_.watch)
    try:
        load.run(limit=calls / 20 + 60)
    finally:
        load.close()
    losses.kills += 1
    losses.calls += calls
    if round_.takeover_ms is not None:
        losses.takeovers_ms.append(round_.takeover_ms)
    kept = []
    for call in load.calls:
        if call.hung_up and not call.failed:
            kept.append(call)
        elif kind == SETUP and call.number not in round_.standing:
            losses.cleared += 1
        else:
            losses.dropped.append(call.failed or "ended by the agent")
    wait_for_rows(daemon, load.calls)
    found = wait_for_recordings(daemon, known, len(kept))
    examine(kept, found, round_, losses)


def wait_for_rows(daemon: Daemon, calls: Sequence[Call]) -> None:
    """Wait until the ledger says what became of each call."""
    deadline = time.monotonic() + 60
    while any(row.outcome is None for row in daemon.rows()[: len(calls)]):
        assert time.monotonic() < deadline, "a call never ended"
        time.sleep(0.05)


def wait_for_recordings(
    daemon: Daemon, known: set[str], count: int
) -> dict[str, Recording]:
    """New recordings by the caller, once there are so many."""
    deadline = time.monotonic() + 120
    # The manifest is stored last, and not at all for a journal that waits for a key.
    while len(daemon.stored(".key.age").keys() - known) < count or daemon.waiting():
        assert time.monotonic() < deadline, f"recordings lack: {daemon.waiting()}"
        time.sleep(0.05)
    found = {r.manifest.caller: r for r in daemon.recordings(but=known)}
    for recording_id in daemon.stored(".key.age").keys() - known:
        if recording_id not in {r.id for r in found.values()}:
            opened = open_recording(daemon, recording_id)
            found[opened.manifest.caller] = opened
    return found


def examine(
    calls: Sequence[Call],
    found: dict[str, Recording],
    round_: Round,
    losses: Losses,
) -> None:
    """Look every click of a round up."""
    worst = 0
    for call in calls:
        recording = found.get(f"+3584{call.number:08d}")
        if recording is None:
            losses.unopened.append(f"call {call.number}")
            continue
        losses.recordings += 1
        losses.partial += recording.manifest.outcome == "partial"
        clicks = Clicks()
        clicks.examine(call, recording.wav, round_.sent.get(call.number, (0, 0)))
        losses.add(clicks)
        worst = max(worst, *clicks.lost_ms)
        if round_.kind != EVERYTHING:
            clicks.heard(call)
            losses.unheard += clicks.unheard
    losses.worst_ms.append(worst)


@contextlib.contextmanager
def desks(root: Path, kinds: Sequence[str]) -> Iterator[dict[str, Desk]]:
    """A booted site for each transport that is needed, by its name."""
    needed = [t for t in TRANSPORTS if any(kind.endswith(f"/{t}") for kind in kinds)]
    if set(kinds) & set(KINDS) and "udp" not in needed:
        needed.append("udp")
    with contextlib.ExitStack() as stack:
        yield {t: Desk(root / t, t, stack) for t in needed}


def run(
    sites: Mapping[str, Desk],
    *,
    rounds: int,
    calls: int,
    seed: int,
    kinds: Sequence[str] = ALL,
) -> dict[str, Losses]:
    """So many rounds, each kind in its turn; what each kind has cost."""
    rng = random.Random(seed)
    losses = {kind: Losses() for kind in kinds}
    for number in range(rounds):
        kind = kinds[number % len(kinds)]
        began = time.monotonic()
        if kind in KINDS:
            site = sites["udp"].service
            run_round(site, kind, calls=calls, rng=rng, losses=losses[kind])
        else:
            deed, _, transport = kind.partition("/")
            desk = sites[transport]
            asyncio.run(kill_midway(desk, deed, number, rng, losses[kind]))
        took = time.monotonic() - began
        print(f"{number + 1} of {rounds}: {kind}, {took:.1f} s", flush=True)
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--kinds", nargs="+", choices=ALL, default=ALL)
    arguments = parser.parse_args()
    print(f"machine: {machine()}; seed {arguments.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as scratch,
        desks(Path(scratch), arguments.kinds) as sites,
    ):
        try:
            losses = run(
                sites,
                rounds=arguments.rounds,
                calls=arguments.calls,
                seed=arguments.seed,
                kinds=arguments.kinds,
            )
        except BaseException:
            for desk in sites.values():
                print(desk.daemon.log_path.read_text()[-4000:])
            raise
    print(table(losses))


if __name__ == "__main__":
    main()
