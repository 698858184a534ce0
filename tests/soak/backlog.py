"""Recordings that wait by the thousand while storage is away, under live calls.

    python -m tests.soak.backlog --recordings 10000

A spool of finished recordings, storage gone: how long a start takes, what memory it
needs, whether live calls notice. Then storage comes back, under calls: all must be
stored, none twice.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from unittest import mock

from agent.common.clock import utc_ns
from agent.common.ids import new_id
from agent.model.call import Outcome
from agent.model.recording import RecordingState
from agent.recording.ledger import CallIntent, Ledger, load_hash_key
from agent.recording.spool import SealedObject, Spool
from tests.bench.load import Load
from tests.bench.media import compare_all
from tests.bench.usage import machine, usage
from tests.lab.daemon import Daemon
from tests.soak.loads import new_load

FILES = (("key.age", "keys", 6000), ("wav.age", "audio", 16_000),
         ("json.age", "manifest", 3000))  # fmt: skip
"Suffix, folder and bytes of what a short call leaves."
DAY = "2026/11/23"


@dataclass
class Result:
    """What came of it."""

    waiting: int
    start_empty: float = 0.0
    "Seconds until the daemon is ready, with nothing waiting …"
    start: float = 0.0
    "… and with all of it."
    start_cpu: float = 0.0
    "Seconds of CPU of the main process that the second takes more than the first."
    rss: dict[str, float] = field(default_factory=dict)
    "Megabytes of the main process, by moment."
    cpu: dict[str, float] = field(default_factory=dict)
    "Share of a core that the main process takes, by moment."
    calls: int = 0
    failed: int = 0
    lost: int = 0
    "Packets that never came out of the relay …"
    sent: int = 0
    "… of so many."
    delays: dict[str, float] = field(default_factory=dict)
    "Milliseconds through the relay, by percentile."
    frames: tuple[int, int] = (0, 0)
    "Exact and in place, in the recordings, of those expected."
    drained: float = 0.0
    "Seconds from storage's return until all is stored."
    missing: int = 0
    doubles: int = 0
    damaged: int = 0


def fill(
    spool: Spool, count: int, files: Sequence[tuple[str, str, int]] = FILES
) -> dict[str, str]:
    """Seal `count` recordings; returns every file that storage must hold, by name."""
    rng, wanted = random.Random(5), {}
    for _ in range(count):
        recording_id = new_id()
        work = spool.begin_work(recording_id)
        objects = []
        for suffix, folder, size in files:
            name, data = f"{recording_id}.{suffix}", rng.randbytes(size)
            (work / name).write_bytes(data)
            wanted[name] = sha256(data).hexdigest()
            objects.append(
                SealedObject(
                    file=name,
                    target="state" if folder == "keys" else "locked",
                    key=f"{folder}/{DAY}/{name}",
                    sha256=wanted[name],
                    size=size,
                )
            )
        spool.commit_sealed(recording_id, work, objects)
    return wanted


async def enter(spool: Spool) -> None:
    """Give every sealed recording its call and its row."""
    ledger = Ledger(spool.root / "ledger.sqlite", hash_key=load_hash_key(spool.root))
    await ledger.start()

    async def one(recording_id: str) -> None:
        call_id, now = new_id(), utc_ns()
        await ledger.begin(
            CallIntent(
                call_id=call_id,
                sip_call_id=call_id,
                route="in",
                direction="inbound",
                begun_utc_ns=now,
            )
        )
        await ledger.segment(call_id, recording_id, call_id, now)
        await ledger.close_call(call_id, Outcome.RECORDED, ended_utc_ns=now)
        # Of every other one the daemon was killed before it could note the seal.
        sealed = recording_id < "8"
        state = RecordingState.SEALED if sealed else RecordingState.CLOSED
        await ledger.advance(recording_id, state)

    await asyncio.gather(*map(one, spool.list_sealed()))
    await ledger.close()


def started(daemon: Daemon) -> float:
    """Start it; seconds until it was ready."""
    begun = time.monotonic()
    daemon.start(timeout=120)
    return time.monotonic() - begun


def main_memory(daemon: Daemon) -> float:
    """Megabytes that the main process holds."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/smaps_rollup").read_text()
    line = next(line for line in status.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def campaign(
    daemon: Daemon, *, recordings: int, calls: int, talk: float, away: float
) -> Result:
    """All of it: fill, start, calls, storage back after `away` seconds, drained."""
    result = Result(recordings, calls=calls)
    result.start_empty = started(daemon)
    result.rss["nothing waits"] = main_memory(daemon)
    result.start_cpu = -usage(daemon).by_role["main"]
    daemon.stop()
    spool = Spool(daemon.spool)
    spool.prepare()
    with mock.patch("os.fsync"):  # nothing of it is to outlive a power cut
        wanted = fill(spool, recordings)
    asyncio.run(enter(spool))
    spool.close()
    storage, aside = daemon.root / "storage", daemon.root / "away"
    storage.rename(aside)
    storage.write_text("in the way")
    result.start = started(daemon)
    result.rss["at start"] = main_memory(daemon)
    result.start_cpu += usage(daemon).by_role["main"]
    load = new_load(daemon, calls, talk, rate=2.0, keep_delays=True)
    back_at = under_calls(daemon, load, result, aside, away)
    daemon.wait_for("stored", count=recordings + calls, timeout=600)
    result.drained = time.monotonic() - back_at
    result.rss["all stored"] = main_memory(daemon)
    of_calls(daemon, load, wanted, result)
    load.close()
    daemon.stop()
    judge(daemon, wanted, calls, result)
    return result


def under_calls(
    daemon: Daemon, load: Load, result: Result, aside: Path, away: float
) -> float:
    """Calls, and amidst of them storage comes back; returns when that was."""
    begun = time.monotonic()
    cpu, at = usage(daemon).by_role["main"], begun
    back_at = 0.0

    def note(moment: str) -> None:
        nonlocal cpu, at
        used, now = usage(daemon).by_role["main"], time.monotonic()
        result.rss[moment] = max(result.rss.get(moment, 0.0), main_memory(daemon))
        result.cpu[moment] = (used - cpu) / (now - at)
        cpu, at = used, now

    def give_back(_: float) -> None:
        nonlocal back_at
        note("storage away")
        (daemon.root / "storage").unlink()
        aside.rename(daemon.root / "storage")
        back_at = time.monotonic()

    load._at(begun + away, give_back)
    load.run(limit=away + result.calls + 120)
    if not back_at:
        give_back(begun)  # the calls were over before it was due
    note("storage back")
    return back_at


def lost_packets(load: Load) -> tuple[int, int]:
    """Packets that never came out of the relay, of so many between first and last."""
    lost = sent = 0
    for call in load.calls:
        for side in (0, 1):
            first = call.first_of_officer if side == 0 else 0
            got = {n for n in call.legs[1 - side].got_frames if n >= first}
            due = range(min(got, default=0), max(got, default=-1) + 1)
            sent += len(due)
            lost += len(due) - len(got)
    return lost, sent


def of_calls(
    daemon: Daemon, load: Load, wanted: dict[str, str], result: Result
) -> None:
    """Whether the live calls noticed."""
    result.failed = sum(bool(c.failed) or not c.talked for c in load.calls)
    result.lost, result.sent = lost_packets(load)
    delays = sorted(load.delays)
    for name, share in (("median", 0.5), ("p99", 0.99), ("max", 1.0)):
        result.delays[name] = delays[int(share * (len(delays) - 1))] * 1000
    live = daemon.recordings(but={name.partition(".")[0] for name in wanted})
    _, found, expected = compare_all(load, live, [])
    result.frames = (found, expected)


def judge(daemon: Daemon, wanted: dict[str, str], calls: int, result: Result) -> None:
    """Whether storage has all of it, once, as it was."""
    storage = daemon.root / "storage"
    files = [path for path in storage.rglob("*") if path.is_file()]
    names = Counter(path.name for path in files)
    told = Counter(entry["recording_id"] for entry in daemon.log("stored"))
    result.missing = sum(name not in names for name in wanted)
    result.missing += len(wanted) // len(FILES) + calls - len(told)
    result.doubles = sum(n - 1 for n in (*names.values(), *told.values()))
    result.doubles += sum("#" in name for name in names)
    result.damaged = sum(
        sha256(path.read_bytes()).hexdigest() != wanted[path.name]
        for path in files
        if path.name in wanted
    )
    left = [
        p for f in ("sealed", "journal", "keys") for p in (daemon.spool / f).iterdir()
    ]
    result.missing += len(left)


def report(result: Result) -> None:
    """Print the table."""
    rows = {
        "recordings waiting": f"{result.waiting}",
        "start, nothing waiting": f"{result.start_empty:.2f} s",
        "start, all of it waiting": f"{result.start:.2f} s",
        "CPU that it takes more": f"{result.start_cpu:.2f} s",
        **{f"memory of main, {k}": f"{v:.0f} MB" for k, v in result.rss.items()},
        **{f"CPU of main, {k}": f"{v * 100:.0f} %" for k, v in result.cpu.items()},
        "live calls, failed": f"{result.calls}, {result.failed}",
        "packets lost by the relay": f"{result.lost} of {result.sent}",
        **{f"delay, {k}": f"{v:.2f} ms" for k, v in result.delays.items()},
        "frames exact in recordings": f"{result.frames[0]} of {result.frames[1]}",
        "all stored after": f"{result.drained:.1f} s",
        "missing, double, damaged": (
            f"{result.missing}, {result.doubles}, {result.damaged}"
        ),
    }
    for name, value in rows.items():
        print(f"{name:36}{value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=120)
    parser.add_argument("--talk", type=float, default=10.0)
    parser.add_argument("--away", type=float, default=20.0)
    arguments = parser.parse_args()
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="backlog-") as scratch:
        daemon = Daemon(Path(scratch), notice=b"\x01\x02" * 1600, workers=1, spares=1)
        try:
            report(campaign(daemon, **vars(arguments)))
        finally:
            daemon.kill()


if __name__ == "__main__":
    main()
