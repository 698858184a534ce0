"""Live calls under a flood of fuzzed SIP and RTP: calls, recordings, memory.

    python -m tests.soak.hostile --datagrams 1000000

The flood comes from strangers, in part from a configured peer's own address, and to the
media ports of every leg; beside it each phone sends wild packets of its own.
"""

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.model.media import Address
from tests.bench.load import Load
from tests.bench.media import compare_all
from tests.bench.usage import machine
from tests.lab.daemon import ROOT, SERVICE, Daemon
from tests.lab.flood import media_datagram

WARM_UP: Final = 0.15
"Of the flood: caches and pools fill before memory must stay as it is."
FAULTS: Final = frozenset(
    {"task_failed", "call_failed", "call_stuck", "invite_failed", "part_failed"}
)


@dataclass
class Result:
    """What came of it."""

    datagrams: int
    seconds: float
    failed: list[str]
    "Of the live calls."
    found: int
    "Frames exact and in place in the recordings …"
    expected: int
    "… of those that were sent."
    recordings: int
    faults: list[str]
    memory: dict[str, list[float]] = field(default_factory=dict)
    "Megabytes of main and the workers, once a second."
    own: int = 0
    "Wild packets from the phones' own addresses, beside the flood."

    def growth(self, role: str) -> float:
        """Megabytes from the end of the warm-up to the end, of a process's median."""
        samples = self.memory[role]
        settled = samples[int(len(samples) * WARM_UP) :]
        share = max(1, len(settled) // 5)
        return _median(settled[-share:]) - _median(settled[:share])

    def course(self, role: str, parts: int = 10) -> list[float]:
        """Megabytes at the end of each tenth of the flood: that part's median."""
        samples = self.memory[role]
        ends = [round(len(samples) * part / parts) for part in range(parts + 1)]
        return [
            _median(samples[a:b]) for a, b in itertools.pairwise(ends) if samples[a:b]
        ]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def run(
    daemon: Daemon, *, datagrams: int, calls: int, rate: float, limit: float
) -> Result:
    """Flood a running daemon; returns when every recording is stored."""
    load = Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=5.0,
        calls=calls,
        talk=limit,
        keep_delays=False,
    )
    flood = _Flood(daemon, load, datagrams, rate)
    load._at(time.monotonic() + 0.5, flood.watch)
    try:
        load.run(limit=limit)
    finally:
        flood.stop()
    failed = [c.failed or "never ended" for c in load.calls if c.failed or not c.ended]
    daemon.wait_for("stored", count=calls, timeout=60)
    recordings, found, expected = compare_all(load, daemon.recordings(), [])
    load.close()
    return Result(
        datagrams=datagrams,
        seconds=flood.seconds,
        failed=failed,
        found=found,
        expected=expected,
        recordings=recordings,
        faults=[str(e) for e in daemon.log() if e["event"] in FAULTS],
        memory=flood.memory,
        own=flood.own,
    )


class _Flood:
    """The flood's process, begun when all calls talk; hangs up when it is over."""

    def __init__(self, daemon: Daemon, load: Load, datagrams: int, rate: float) -> None:
        self._daemon, self._load = daemon, load
        self._datagrams, self._rate = datagrams, rate
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._sampled = 0.0
        self._rng = random.Random(2)
        self.seconds = 0.0
        self.own = 0
        self.memory: dict[str, list[float]] = {"main": [], "workers": []}

    def watch(self, now: float) -> None:
        """Called by the load's clock, ten times a second."""
        calls = self._load.calls
        if self._process is None:
            if len(calls) == self._load._total and all(c.answered for c in calls):
                self._begin()
        elif self._process.poll() is None:
            self._sample(now)
            self._send_own()
        else:
            self._sample(now + 1)
            self.seconds = time.monotonic() - self._began
            for call in calls:
                self._load._hang_up(call, now)
            return
        self._load._at(now + 0.1, self.watch)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _begin(self) -> None:
        remotes = [leg.remote for call in self._load.calls for leg in call.legs]
        media = [str(r[1] + up) for r in remotes if r is not None for up in (0, 1)]
        command = [sys.executable, "-m", "tests.lab.flood", str(self._datagrams)]
        command += ["--sip", str(self._daemon.sip), "--rate", str(self._rate)]
        command += ["--peer", str(self._daemon.officers[1]), "--media", *media]
        self._began = time.monotonic()
        self._process = subprocess.Popen(command, cwd=ROOT)

    def _send_own(self) -> None:
        """From the addresses that are latched to: other sources, and no RTP at all."""
        for call in self._load.calls:
            for leg in call.legs:
                if leg.remote is not None:
                    leg.sock.sendto(media_datagram(self._rng), leg.remote)
                    self.own += 1

    def _sample(self, now: float) -> None:
        if now < self._sampled + 1:
            return
        self._sampled = now
        assert self._daemon.process is not None
        self.memory["main"].append(_megabytes(self._daemon.process.pid))
        workers = self._daemon.media_workers()
        self.memory["workers"].append(sum(map(_megabytes, workers)))


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datagrams", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--rate", type=float, default=5000.0)
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        daemon = Daemon(Path(scratch), notice=b"\x01\x02" * 8000).start()
        try:
            result = run(
                daemon,
                datagrams=arguments.datagrams,
                calls=arguments.calls,
                rate=arguments.rate,
                limit=60 + 4 * arguments.datagrams / arguments.rate,
            )
            outcomes = Counter(str(row.outcome) for row in daemon.rows())
        finally:
            daemon.stop()
    print(
        f"datagrams: {result.datagrams} in {result.seconds:.0f} s"
        f" ({result.datagrams / result.seconds:.0f}/s), SIP and RTP mixed,"
        f" and {result.own} from the phones' own addresses"
    )
    print(f"calls: {arguments.calls}, failed: {result.failed or 'none'}")
    print(
        f"recordings: {result.recordings},"
        f" {result.found} of {result.expected} frames exact and in place"
    )
    print(f"ledger: {dict(outcomes)}; faults logged: {result.faults or 'none'}")
    for role, samples in result.memory.items():
        print(
            f"memory of {role}: {samples[0]:.1f} MB at first, {max(samples):.1f} at"
            f" most, {samples[-1]:.1f} at last; grown {result.growth(role):+.1f} MB"
            " after the warm-up"
        )
        course = ", ".join(f"{value:.1f}" for value in result.course(role))
        print(f"  by tenths of the flood: {course}")


if __name__ == "__main__":
    main()
