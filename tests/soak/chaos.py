"""Live calls while processes are killed: calls dropped, and audio lost, click by click.

    python -m tests.soak.chaos --rounds 5

In each round every call's media worker, whoever stands by, and finishers are killed
with -9 at random moments, and every recording is compared with what was sent. At last
everything is killed at once, and what a start finds is opened with a person's key.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.formats.manifest import Manifest, parse_manifest
from agent.model.media import Address
from tests.bench.load import Load
from tests.bench.usage import machine
from tests.lab.daemon import ROOT, SERVICE, Daemon
from tests.soak.clicks import Clicks

SPACING = 5.5
"Seconds between two kills at least: three in ten seconds have a worker given up."
IDLE_SOCKETS = 4
"Of a worker without legs, at most."


@dataclass
class Result:
    """What came of it."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    dropped: list[str] = field(default_factory=list)
    recordings: int = 0
    clicks: Clicks = field(default_factory=Clicks)
    stated_ms: int = 0
    "Of the agent's own gaps, in the manifests."
    takeovers_ms: list[float] = field(default_factory=list)
    "From a worker's death to the first packet that a phone got again."


def new_load(
    daemon: Daemon,
    calls: int,
    talk: float,
    *,
    rate: float = 10.0,
    keep_delays: bool = False,
) -> Load:
    return Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=rate,
        calls=calls,
        talk=talk,
        keep_delays=keep_delays,
    )


class Killer:
    """Kills somebody now and then while all calls talk."""

    def __init__(self, daemon: Daemon, load: Load, rng: random.Random, result: Result):
        self._daemon, self._load = daemon, load
        self._rng, self._result = rng, result
        self._next = 0.0
        self._killed = 0.0
        self._received = 0

    def watch(self, now: float) -> None:
        """Called by the load's clock, two hundred times a second."""
        load = self._load
        talking = len(load.calls) == load._total and all(
            call.talked and not call.hung_up for call in load.calls
        )
        if self._killed and load.rtp_received > self._received:
            # What was in flight when it died is here at once; what follows is new.
            if now - self._killed > 0.004:
                took = (time.monotonic() - self._killed) * 1000
                self._result.takeovers_ms.append(took)
                self._killed = 0.0
            else:
                self._received = load.rtp_received
        if talking and not self._next:
            self._next = now + self._rng.uniform(1, 2)
        if talking and now > self._next:
            self._kill(now)
            self._next = now + SPACING + self._rng.uniform(0, 1)
        if not load.calls or any(not call.ended for call in load.calls):
            load._at(now + 0.005, self.watch)

    def _kill(self, now: float) -> None:
        kind = self._rng.choice(["worker", "worker", "worker", "spare", "finisher"])
        pids = processes(self._daemon)[kind]
        if not pids:
            return
        os.kill(self._rng.choice(pids), signal.SIGKILL)
        self._result.kills[kind] += 1
        if kind == "worker" and not self._killed:
            self._killed, self._received = now, self._load.rtp_received


def processes(daemon: Daemon) -> dict[str, list[int]]:
    """Pids of workers that have legs, of those that stand by, and of finishers."""
    found: dict[str, list[int]] = {"worker": [], "spare": [], "finisher": []}
    for pid in daemon.children():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue  # it is ending
        if b"agent.media.worker" in command:
            sockets = sum(link.startswith("socket:") for link in links)
            found["worker" if sockets > IDLE_SOCKETS else "spare"].append(pid)
        elif b"spawn_main" in command:
            found["finisher"].append(pid)
    return found


def run_round(
    daemon: Daemon, *, calls: int, talk: float, rng: random.Random, result: Result
) -> None:
    """One load of calls under fire; returns when every recording is stored."""
    load = new_load(daemon, calls, talk)
    killer = Killer(daemon, load, rng, result)
    stored = len(daemon.log("stored"))
    known = {recording.id for recording in daemon.recordings()}
    load._at(time.monotonic() + 0.5, killer.watch)
    load.run(limit=calls / 10 + talk + 30)
    result.rounds += 1
    result.calls += calls
    for call in load.calls:
        if call.failed or not call.hung_up:
            result.dropped.append(call.failed or "ended by the agent")
    daemon.wait_for("stored", count=stored + calls, timeout=120)
    by_caller = {f"+3584{call.number:08d}": call for call in load.calls}
    for recording in daemon.recordings():
        if recording.id not in known:
            call = by_caller[recording.manifest.caller]
            result.clicks.examine(call, recording.wav)
            result.clicks.heard(call)
            result.recordings += 1
            result.stated_ms += stated(recording.manifest)
    load.close()


def stated(manifest: Manifest) -> int:
    """Milliseconds of the agent's own gaps, on both legs."""
    return sum(gap.duration_ms for gap in manifest.gaps if gap.reason == "gap")


def kill_everything(
    daemon: Daemon, *, calls: int, talk: float, rng: random.Random, result: Result
) -> None:
    """kill -9 of every process at once; a start, and a person's key, find the calls."""
    load = new_load(daemon, calls, talk + 30)
    known = set(daemon.stored(".key.age"))
    until: dict[str, tuple[int, int]] = {}
    offset = daemon.log_path.stat().st_size
    fire_at = 0.0

    def watch(now: float) -> None:
        nonlocal fire_at
        talking = len(load.calls) == calls and all(c.talked for c in load.calls)
        if talking and not fire_at:
            fire_at = now + talk + rng.uniform(0, 1)
        if not fire_at or now < fire_at:
            load._at(now + 0.01, watch)
            return
        daemon.kill()
        result.kills["everything"] += 1
        for call in load.calls:
            sent = call.legs[0].sent, call.legs[1].sent
            until[f"+3584{call.number:08d}"] = sent
            for leg in call.legs:
                load._stop_rtp(leg)
            load._end(call)

    load._at(time.monotonic() + 0.5, watch)
    load.run(limit=calls / 10 + talk + 60)
    daemon.start()
    daemon.wait_for("stored", count=calls, timeout=120, offset=offset)
    by_caller = {f"+3584{call.number:08d}": call for call in load.calls}
    for recording_id in set(daemon.stored(".key.age")) - known:
        wav, manifest = open_recording(daemon, recording_id)
        call = by_caller[manifest.caller]
        result.clicks.examine(call, wav, until[manifest.caller])
        result.recordings += 1
    result.calls += calls
    load.close()


def open_recording(daemon: Daemon, recording_id: str) -> tuple[bytes, Manifest]:
    """What `recording-agent open` makes of one, with a quality member's key."""
    out, identity = daemon.root / "opened", daemon.root / "quality.txt"
    command = ["open", recording_id, "-i", identity, "-c", daemon.config, "-o", out]
    subprocess.run(
        [sys.executable, "-m", "agent", *command],
        cwd=ROOT,
        check=True,
        timeout=60,
        capture_output=True,
    )
    manifest = parse_manifest((out / f"{recording_id}.json").read_bytes())
    return (out / f"{recording_id}.wav").read_bytes(), manifest


def report(title: str, result: Result) -> None:
    """Print the table."""
    clicks = result.clicks
    kills = ", ".join(f"{n} {kind}" for kind, n in sorted(result.kills.items()))
    print(f"{title}: {result.rounds} rounds, killed: {kills or 'nobody'}")
    dropped = "all" if "everything" in result.kills else result.dropped or "none"
    print(f"  calls: {result.calls}, dropped: {dropped}")
    print(f"  recordings opened: {result.recordings} of {result.calls}")
    print(
        f"  clicks: {clicks.expected}, lost {clicks.lost},"
        f" out of place by more than 20 ms {clicks.misplaced};"
        f" not heard by the other phone {clicks.unheard}"
    )
    of_kills = max(1, sum(result.kills.values()))
    worst = max(clicks.runs, default=0)
    print(
        f"  audio lost at one kill, of one leg: at most {worst} ms;"
        f" {clicks.lost * 20 / of_kills:.0f} ms a kill over all legs;"
        f" stated in the manifests {result.stated_ms} ms"
    )
    if result.takeovers_ms:
        times = sorted(result.takeovers_ms)
        print(
            "  from a worker's death to the first packet after it:"
            f" median {times[len(times) // 2]:.0f} ms, at most {times[-1]:.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--talk", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        daemon = Daemon(
            Path(scratch), notice=b"\x01\x02" * 1600, workers=1, spares=1
        ).start()
        try:
            result, last = Result(), Result()
            for _ in range(arguments.rounds):
                run_round(
                    daemon,
                    calls=arguments.calls,
                    talk=arguments.talk,
                    rng=rng,
                    result=result,
                )
            report("one process at a time", result)
            kill_everything(
                daemon, calls=arguments.calls, talk=5.0, rng=rng, result=last
            )
            report("everything at once", last)
        finally:
            daemon.stop()


if __name__ == "__main__":
    main()
