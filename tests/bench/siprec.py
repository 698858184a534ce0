"""Recording sessions beside calls that we stand in, one after the other, same run.

The generators are processes of their own. Of every session each frame that was sent is
looked for in what was stored; what the kernel had no room for is told apart from what
the agent lost. A tenth of the recordings is compared with what was sent, sample by
sample.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.formats.age import KeyKind
from agent.model.media import Address
from tests.bench.load import Load
from tests.bench.media import compare
from tests.bench.recording_clients import Clients, Recorded, caller_of
from tests.bench.usage import Usage, machine, usage
from tests.lab.certificates import Certificate
from tests.lab.daemon import SERVICE, Daemon, Recording
from tests.lab.secure import Site, secured
from tests.ports import free_ports

MEDIA_PORTS = range(40000, 48000)
"Of `Daemon`."
SOURCE = """
[[peers]]
name = "src"
match = ["127.0.0.1:{port}", "tls:src.example"]
[[siprec]]
name = "beside"
from = "src"
recognise = "legacy"
notice = "statement:The generator says so."
"""


@dataclass(frozen=True)
class Amount:
    """How many calls, how many of them a second, and how long each."""

    calls: int
    rate: float
    talk: float

    @property
    def limit(self) -> float:
        """Seconds after which whatever is not over has failed."""
        return self.calls / self.rate + self.talk + 60


@dataclass
class Sent:
    """Frames that one leg of a call sent, as `compare` wants to know."""

    sent: int


@dataclass
class Placed:
    """One call or session, as its generator saw it."""

    number: int
    legs: tuple[Sent, ...]
    failed: str
    first_of_officer: int = 0


@dataclass
class Generated:
    """What one generator did."""

    calls: list[Placed]
    max_late: float
    cpu: float
    lost: int = 0
    "Frames that never came out of the relay; 0 where there is none."

    @property
    def frames(self) -> int:
        return sum(leg.sent for call in self.calls for leg in call.legs)

    @property
    def failed(self) -> list[str]:
        return [call.failed for call in self.calls if call.failed]


def place_sessions(
    agent: Address, own: Address, certificate: Certificate | None, amount: Amount
) -> Generated:
    """Runs in a process of its own."""
    clients = Clients(
        agent=agent,
        own=own,
        rate=amount.rate,
        sessions=amount.calls,
        talk=amount.talk,
        certificate=certificate,
        seed=1000 if certificate is None else 2000,
    )
    clients.run(limit=amount.limit)
    calls = [_placed(one) for one in clients.sessions]
    clients.close()
    return Generated(calls, clients.max_late, time.process_time())


def _placed(one: Recorded) -> Placed:
    legs = tuple(Sent(leg.sent) for leg in one.legs)
    return Placed(one.number, legs, one.failed or ("" if one.ended else "no end"))


def place_calls(
    agent: Address, ends: tuple[Address, Address], amount: Amount
) -> Generated:
    """Runs in a process of its own."""
    load = Load(
        agent=agent,
        caller=ends[0],
        officer=ends[1],
        service=SERVICE,
        rate=amount.rate,
        calls=amount.calls,
        talk=amount.talk,
        keep_delays=False,
    )
    load.run(limit=amount.limit)
    lost = 0
    for call in load.calls:
        for side, leg in enumerate(call.legs):
            first = (call.first_of_officer if side == 0 else 0) + 5
            other = call.legs[1 - side]
            lost += sum(i not in other.got_frames for i in range(first, leg.sent - 5))
    placed = [
        Placed(
            call.number,
            tuple(Sent(leg.sent) for leg in call.legs),
            call.failed or ("" if call.talked else "no talk"),
            call.first_of_officer,
        )
        for call in load.calls
    ]
    load.close()
    return Generated(placed, load.max_late, time.process_time(), lost)


class Watch:
    """Samples what the daemon uses and what the kernel drops, until it is left."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._drops: dict[tuple[str, str], int] = {}
        self.peak = 0.0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def dropped(self) -> int:
        """Packets for which a media socket of the daemon had no room."""
        return sum(self._drops.values())

    def _run(self) -> None:
        while not self._over.wait(1.0):
            self.peak = max(self.peak, usage(self._daemon).rss)
            for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].partition(":")[2], 16) in MEDIA_PORTS:
                    self._drops[fields[1], fields[9]] = int(fields[12])


@dataclass
class Run:
    """One half of the comparison."""

    what: str
    generated: Generated
    before: Usage
    during: Usage
    after: Usage
    seconds: float
    peak: float
    dropped: int

    @property
    def cpu_per_call(self) -> float:
        """Seconds of CPU for each second of a call, until the last was over."""
        return (self.during.cpu - self.before.cpu) / self._call_seconds

    @property
    def _call_seconds(self) -> float:
        return self.generated.frames * 0.02 / 2

    def report(self) -> None:
        made, failed = self.generated, self.generated.failed
        workers = self._by_role("worker")
        stored = self.after.cpu - self.during.cpu
        print(f"{self.what}: {len(made.calls)}, failed: {len(failed)} {failed[:3]}")
        print(
            f"  generator: {made.frames} frames sent in {self.seconds:.1f} s, latest"
            f" {made.max_late * 1000:.1f} ms late, {made.cpu:.1f} s of CPU"
        )
        print(
            f"  CPU per call: {self.cpu_per_call * 100:.3f} % of a core in all"
            f" ({1 / self.cpu_per_call:.0f} calls a core),"
            f" {workers / self._call_seconds * 100:.3f} % in the workers,"
            f" {self._by_role('main') / len(made.calls) * 1000:.1f} ms each in main"
        )
        print(
            f"  workers: {workers / made.frames * 1e6:.1f} µs a packet; after the"
            f" calls, finishing and storing: {stored / len(made.calls) * 1000:.0f} ms"
            f" each; memory {self.peak:.0f} MB at most"
        )
        print(f"  dropped by the kernel at our sockets: {self.dropped}")

    def _by_role(self, role: str) -> float:
        return self.during.by_role.get(role, 0) - self.before.by_role.get(role, 0)


def run(daemon: Daemon, what: str, place: Callable[..., Generated], *how: Any) -> Run:
    """Have one generator do its work, and wait until all is stored that came of it."""
    kept = len(daemon.log("stored"))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool, Watch(daemon) as watch:
        pool.submit(os.getpid).result()
        before, started = usage(daemon), time.monotonic()
        generated = pool.submit(place, *how).result()
        seconds, during = time.monotonic() - started, usage(daemon)
    kept += len(generated.calls) - len(generated.failed)
    daemon.wait_for("stored", count=max(kept, 1), timeout=300)
    return Run(
        what,
        generated,
        before,
        during,
        usage(daemon),
        seconds,
        watch.peak,
        watch.dropped,
    )


def verify(done: Run, recordings: list[Recording]) -> None:
    """Every frame that was sent has been recorded, or it is said where it went."""
    placed: dict[str, Any] = {
        caller_of(call.number): call for call in done.generated.calls
    }
    figures = [leg for one in recordings for leg in one.manifest.legs]
    recorded = sum(leg.packets for leg in figures)
    missing = done.generated.frames - recorded
    print(f"recordings: {len(recordings)} of {len(placed)}")
    print(
        f"packets recorded: {recorded} of {done.generated.frames}; missing: {missing},"
        f" of which the kernel dropped {done.dropped}: lost by the agent"
        f" {max(0, missing - done.dropped)} ({sum(leg.lost for leg in figures)} in the"
        " middle of a stream)"
    )
    late: list[float] = []
    some = recordings[::10]
    pairs = [compare(placed[one.manifest.caller], one.wav, late) for one in some]
    print(
        f"compared sample by sample: {len(some)} recordings,"
        f" {sum(found for found, _ in pairs)} of {sum(of for _, of in pairs)}"
        f" frames exact and in place; first frame recorded {max(late):.2f} s after it"
        " was sent first, at the latest"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=400)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--talk", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--encrypted", action="store_true", help="and once more over TLS, with SRTP"
    )
    arguments = parser.parse_args()
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        daemon = Daemon(
            Path(scratch),
            notice=b"\x01\x02" * 800,
            kind=KeyKind.POST_QUANTUM,
            workers=arguments.workers,
        )
        site = secured(daemon, officers="udp")
        (source,) = free_ports(1)
        with daemon.config.open("a") as config:
            config.write(SOURCE.format(port=source))
        daemon.start()
        try:
            compare_all(site, Address("127.0.0.1", source), arguments)
        finally:
            daemon.stop()


def compare_all(site: Site, own: Address, arguments: argparse.Namespace) -> None:
    """Calls, recording sessions, and if wished such with encryption."""
    daemon, rate, talk = site.daemon, arguments.rate, arguments.talk
    ends = tuple(
        Address("127.0.0.1", port) for port in (daemon.caller, daemon.officers[0])
    )
    agent = Address("127.0.0.1", daemon.sip)
    amount = Amount(arguments.calls, rate, talk)
    calls = run(daemon, "calls", place_calls, agent, ends, amount)
    calls.report()
    print(f"  lost in the relay: {calls.generated.lost}")
    ways: list[tuple[str, Address, Certificate | None]] = [
        ("recording sessions", agent, None)
    ]
    if arguments.encrypted:
        secure = Address("127.0.0.1", site.port)
        issued = site.authority.issue("src.example")
        ways.append(("recording sessions, encrypted", secure, issued))
    for what, to, certificate in ways:
        others = {one.id for one in daemon.recordings()}
        amount = Amount(arguments.sessions, rate, talk)
        beside = run(daemon, what, place_sessions, to, own, certificate, amount)
        beside.report()
        share = beside.cpu_per_call / calls.cpu_per_call
        print(f"  one takes {share:.2f} of the CPU of a call")
        verify(beside, sorted(daemon.recordings(but=others), key=lambda r: r.id))


if __name__ == "__main__":
    main()
