"""Concurrent calls with everything on: relay, notice, journal, fsync, finish, store.

The generator runs beside the agent on the same machine; its own lateness is printed,
because what it delays or drops is not the agent's. A sampled tenth of the recordings
is opened, decoded and compared with what was sent, sample by sample.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from agent.formats.age import KeyKind
from agent.formats.container import read_wav
from agent.model.media import Address
from tests.bench.load import FRAME, Call, Load, payload
from tests.bench.usage import machine, usage
from tests.lab.daemon import SERVICE, Daemon, Recording


def compare(call: Call, wav: bytes, late: list[float]) -> tuple[int, int]:
    """Frames of both legs found at one steady position, and frames expected.

    `late` gets, per leg, how long after the officer's 2xx its first recorded frame
    was sent, in seconds.
    """
    track = read_wav(wav)
    found = expected = 0
    for side, leg in enumerate(call.legs):
        samples = track.samples[side::2]
        answered = call.first_of_officer if side == 0 else 0
        last = leg.sent - 5  # the very last may have crossed the BYE
        first, anchor = answered, -1
        while anchor < 0 and first < last:
            anchor = samples.find(payload(call.number, side, first))
            first += anchor < 0
        late.append((first - answered) * 0.02)
        for index in range(first, last):
            expected += 1
            at = anchor + (index - first) * FRAME
            frame = samples[at : at + FRAME]
            found += frame == payload(call.number, side, index)
    return found, expected


def compare_all(
    load: Load, recordings: Iterable[Recording], late: list[float]
) -> tuple[int, int, int]:
    """How many recordings these are, their frames found, and those expected."""
    by_caller = {f"+3584{call.number:08d}": call for call in load.calls}
    found = expected = compared = 0
    for recording in recordings:
        call = by_caller[recording.manifest.caller]
        one, of = compare(call, recording.wav, late)
        found, expected, compared = found + one, expected + of, compared + 1
    return compared, found, expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--talk", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        daemon = Daemon(
            Path(scratch),
            notice=b"\x01\x02" * 8000,
            kind=KeyKind.POST_QUANTUM,
            workers=arguments.workers,
        ).start()
        try:
            run(daemon, arguments)
        finally:
            daemon.stop()


def run(daemon: Daemon, arguments: argparse.Namespace) -> None:
    calls = arguments.calls
    load = Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=arguments.rate,
        calls=calls,
        talk=arguments.talk,
    )
    before, started = usage(daemon), time.monotonic()
    load_cpu = time.process_time()
    peak = before.rss

    def sample(now: float) -> None:
        nonlocal peak
        peak = max(peak, usage(daemon).rss)
        load._at(now + 5.0, sample)

    load._at(time.monotonic() + 5.0, sample)
    load.add_control(20)
    load.run(limit=calls / arguments.rate + arguments.talk + 60)
    elapsed = time.monotonic() - started
    during = usage(daemon)
    load_cpu = time.process_time() - load_cpu
    daemon.wait_for("stored", count=calls, timeout=120)
    drained = time.monotonic() - started - elapsed
    after = usage(daemon)
    failed = [c for c in load.calls if c.failed or not c.talked]

    # Loss by the agent: frames sent while both legs were bridged that never came out.
    lost = sent = 0
    for call in load.calls:
        for side, leg in enumerate(call.legs):
            other = call.legs[1 - side]
            first = (call.first_of_officer if side == 0 else 0) + 5
            wanted = range(first, leg.sent - 5)
            sent += len(wanted)
            lost += sum(index not in other.got_frames for index in wanted)
    delays, control = sorted(load.delays), sorted(load.control)
    legs_seconds = sum(leg.sent for c in load.calls for leg in c.legs) * 0.02
    call_seconds = legs_seconds / 2
    packets = load.rtp_sent
    cpu = during.cpu - before.cpu
    worker = during.by_role.get("worker", 0) - before.by_role.get("worker", 0)
    print(f"calls: {calls}, failed: {len(failed)}, talk {arguments.talk} s each")
    print(f"wall: {elapsed:.1f} s, all stored {drained:.1f} s later")
    print(
        f"generator: {packets} packets sent, latest frame {load.max_late * 1000:.1f} ms"
        f" late, {load_cpu / elapsed * 100:.0f} % of a core"
    )
    print(f"lost by the agent: {lost} of {sent}")
    for name, values in (("through the agent", delays), ("past it", control)):
        points = [
            f"{label} {values[int(share * (len(values) - 1))] * 1000:.2f} ms"
            for label, share in (
                ("median", 0.5),
                ("p99", 0.99),
                ("p99.9", 0.999),
                ("max", 1.0),
            )
        ]
        print(f"delay {name}, the generator's included: {', '.join(points)}")
    print(
        f"CPU: {cpu:.1f} s in all ({cpu / elapsed * 100:.0f} % of a core);"
        f" workers {worker:.1f} s = {worker / packets * 1e6:.1f} µs per packet"
    )
    print(
        f"CPU per call: {cpu / call_seconds * 100:.3f} % of a core in all,"
        f" {worker / call_seconds * 100:.3f} % of a core in the workers"
    )
    print(f"CPU after the calls, finishing and storing: {after.cpu - during.cpu:.1f} s")
    print(f"memory: {peak:.0f} MB at most, all processes")

    late: list[float] = []
    some = sorted(daemon.recordings(), key=lambda recording: recording.id)[::10]
    compared, found, expected = compare_all(load, some, late)
    print(
        f"compared sample by sample: {compared} recordings,"
        f" {found} of {expected} frames exact and in place"
    )
    print(
        "first recorded frame after the answer:"
        f" median {statistics.median(late):.2f} s, latest {max(late):.2f} s"
    )
    load.close()


if __name__ == "__main__":
    main()
