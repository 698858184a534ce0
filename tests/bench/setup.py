"""CPU of a call's signalling: sipp calls sipp through the agent, and through sippy.

    python -m tests.bench.setup [--rate 50] [--calls 1000] [--recorded] [--events]

The same two scenarios run over UDP, TCP and TLS, and over UDP through sippy's B2BUA,
which neither relays media nor keeps a ledger. The agent's calls are exempt ones: both
legs are signalled, their media relayed, the ledger kept, and nothing announced or
recorded. With `--recorded` they are announced, recorded and stored as well; with
`--events` all that is told to a real broker over TLS, besides. Figures are
CPU time of the process and all its threads, user and system, from the first INVITE to
the last BYE; `main` is what sippy is to be compared with, and `kernel` the part of it
that is spent in system calls. What TLS costs above TCP is the library's share.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.formats.age import KeyKind
from tests.bench.usage import machine, usage
from tests.lab.certificates import Certificate
from tests.lab.daemon import SERVICE, Daemon
from tests.lab.mosquitto import Mosquitto
from tests.lab.peers import SIPP_TLS, SIPPY
from tests.lab.secure import secured
from tests.ports import free_ports

SCENARIOS: Final = Path(__file__).parent / "sipp"
MODES: Final = {"udp": "u1", "tcp": "t1", "tls": "l1"}
HOLD: Final = 0.1
"Seconds that a call lasts after its answer …"
HOLD_RECORDED: Final = 2.0
"… and one that hears a notice of half a second first."


@dataclass
class End:
    """Where one sipp is, and what it shows there."""

    port: int
    certificate: Certificate | None = None


def sipp() -> list[str]:
    """The newest sipp there is: only it knows TLS."""
    if (SIPP_TLS.root / SIPP_TLS.path).exists():
        return SIPP_TLS.command
    return [shutil.which("sipp") or "sipp"]


def command(
    scenario: str, transport: str, end: End, *more: str, folder: Path
) -> subprocess.Popen[bytes]:
    arguments = [*sipp(), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-nostdin"]
    arguments += ["-i", "127.0.0.1", "-p", str(end.port), "-t", MODES[transport]]
    if transport == "tls" and end.certificate is not None:
        arguments += ["-tls_cert", str(end.certificate.certificate)]
        arguments += ["-tls_key", str(end.certificate.key)]
        arguments += ["-tls_ca", str(end.certificate.ca)]
    return subprocess.Popen(
        [*arguments, *more],
        cwd=folder,
        env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def answering(transport: str, end: End, folder: Path) -> Iterator[None]:
    """An officer who answers every call."""
    process = command("officer", transport, end, folder=folder)
    try:
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


def call(  # noqa: PLR0917 - one sipp
    transport: str,
    end: End,
    remote: int,
    folder: Path,
    arguments: argparse.Namespace,
    hold: float,
) -> int:
    """Place all calls; returns how many did not go as they should."""
    more = ["-s", SERVICE, "-m", str(arguments.calls), "-r", str(arguments.rate)]
    more += ["-d", str(round(hold * 1000)), "-timeout", "300", "-trace_stat"]
    more += ["-stf", str(folder / "statistics.csv"), "-fd", "1"]
    process = command(
        "caller", transport, end, *more, f"127.0.0.1:{remote}", folder=folder
    )
    process.wait(timeout=400)
    lines = (folder / "statistics.csv").read_text().splitlines()
    names, last = lines[0].split(";"), lines[-1].split(";")
    return arguments.calls - int(last[names.index("SuccessfulCall(C)")])


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/schedstat").read_text().split()
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return (
        sum(int(path.read_text().split()[0]) for path in threads) / 1e9 if fields else 0
    )


def kernel(pid: int) -> float:
    """Seconds of those that the kernel has used for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[12]) / os.sysconf("SC_CLK_TCK")


def report(name: str, figures: Sequence[tuple[str, float]], failed: int) -> None:
    parts = ", ".join(f"{role} {value * 1000:.2f} ms" for role, value in figures)
    print(f"{name:22} {parts} a call; failed {failed}", flush=True)


def compare(sippy: Sequence[float], agent: dict[str, list[float]]) -> None:
    """The medians of all rounds, and how they compare with sippy's."""
    if len(sippy) < 2:
        return
    base = statistics.median(sippy)
    print(f"median of {len(sippy)} rounds: sippy {base * 1000:.2f} ms", end="")
    for transport, figures in agent.items():
        found = statistics.median(figures)
        print(f"; {transport} {found * 1000:.2f} ms, {found / base:.2f}x", end="")
    print()


def told(daemon: Daemon, folder: Path) -> Mosquitto:
    """A broker that this daemon will tell of its calls."""
    broker = Mosquitto(folder)
    asyncio.run(broker.start())
    lines = [f'{name} = "{value}"' for name, value in broker.section().items()]
    with daemon.config.open("a") as config:
        config.write("\n".join(["[mqtt]", "commands = []", *lines, ""]))
    return broker


def measure_agent(
    transport: str, scratch: Path, arguments: argparse.Namespace
) -> float:
    """CPU of the main process for a call."""
    recorded = arguments.recorded
    daemon = Daemon(
        scratch / "site",
        notice=b"\x01\x02" * 4000,
        kind=KeyKind.POST_QUANTUM,
        recording="" if recorded else f'exempt = ["{SERVICE}"]',
    )
    site = secured(daemon, officers=transport)
    broker = told(daemon, scratch / "broker") if arguments.events else None
    daemon.start()
    assert daemon.process is not None
    officer = daemon.officers[0] + (transport == "tls")
    try:
        with answering(transport, End(officer, site.officers), scratch):
            before, main_before = usage(daemon), cpu(daemon.process.pid)
            kernel_before = kernel(daemon.process.pid)
            failed = call(
                transport,
                End(daemon.caller, site.trunk),
                site.port if transport == "tls" else daemon.sip,
                scratch,
                arguments,
                HOLD_RECORDED if recorded else HOLD,
            )
            main = cpu(daemon.process.pid) - main_before
            if recorded:
                daemon.wait_for("stored", count=arguments.calls - failed, timeout=120)
                main = cpu(daemon.process.pid) - main_before
            after = usage(daemon)
            in_kernel = kernel(daemon.process.pid) - kernel_before
    finally:
        daemon.stop()
        if broker is not None:
            broker.stop()
    figures = [
        ("main", main / arguments.calls),
        ("kernel", in_kernel / arguments.calls),
    ]
    for role in ("worker", "finisher"):
        used = after.by_role.get(role, 0.0) - before.by_role.get(role, 0.0)
        if used > 0:
            figures.append((role, used / arguments.calls))
    report(f"agent, {transport}", figures, failed)
    return main / float(arguments.calls)


def measure_sippy(scratch: Path, arguments: argparse.Namespace) -> float | None:
    """CPU of sippy for a call; None if it is not here."""
    program = SIPPY / "bin/b2bua_simple"
    if not program.exists():
        print("sippy is not here: scripts/setup --lab fetches it")
        return None
    port, caller, officer = free_ports(3)
    b2bua = [str(program), "-f", "-l", "127.0.0.1", "-p", str(port)]
    b2bua += ["-n", f"127.0.0.1:{officer}", "-L", str(scratch / "sippy.log")]
    process = subprocess.Popen(
        b2bua,
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(2.0)
        with answering("udp", End(officer), scratch):
            before, kernel_before = cpu(process.pid), kernel(process.pid)
            failed = call("udp", End(caller), port, scratch, arguments, HOLD)
            used = cpu(process.pid) - before
            in_kernel = kernel(process.pid) - kernel_before
    finally:
        process.terminate()
        process.wait()
    figures = [("all", used / arguments.calls), ("kernel", in_kernel / arguments.calls)]
    report("sippy's B2BUA, udp", figures, failed)
    return used / float(arguments.calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--recorded", action="store_true")
    parser.add_argument("--events", action="store_true")
    parser.add_argument("--transports", nargs="+", default=["udp", "tcp", "tls"])
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    print(f"{arguments.calls} calls at {arguments.rate:g}/s")
    sippy: list[float] = []
    agent: dict[str, list[float]] = {name: [] for name in arguments.transports}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            figure = measure_sippy(Path(scratch), arguments)
        sippy += [] if figure is None else [figure]
        for transport, figures in agent.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                figures.append(measure_agent(transport, Path(scratch), arguments))
    compare(sippy, agent)


if __name__ == "__main__":
    main()
