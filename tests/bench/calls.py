"""Calls a second, each announced, answered, journalled for a second, and stored.

    python -m tests.bench.calls [--rate 50] [--seconds 60] [--transport udp tcp tls]

The same load over each transport in turn, at a new daemon each: both its callers and
its officers speak it. The figures stand side by side.
"""

import argparse
import functools
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from agent.formats.age import KeyKind
from agent.model.media import Address
from tests.bench.ends import StreamEnd, UdpEnd
from tests.bench.load import Load
from tests.bench.usage import machine, usage
from tests.lab.daemon import SERVICE, Daemon
from tests.lab.secure import Site, secured

TRANSPORTS: Final = ("udp", "tcp", "tls")
WIDTH: Final = 32
"Of the table's first column."

Figures = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--talk", type=float, default=1.2)
    parser.add_argument(
        "--transport", nargs="+", choices=TRANSPORTS, default=list(TRANSPORTS)
    )
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    columns: dict[str, Figures] = {}
    for transport in arguments.transport:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            columns[transport] = measure(transport, Path(scratch), arguments)
    table(columns)


def table(columns: dict[str, Figures]) -> None:
    """Print the figures of each transport in a column of its own."""
    print(" " * WIDTH + "".join(f"{name:>18}" for name in columns))
    rows = dict.fromkeys(name for figures in columns.values() for name in figures)
    for name in rows:
        cells = (figures.get(name, "-") for figures in columns.values())
        print(f"{name:{WIDTH}}" + "".join(f"{cell:>18}" for cell in cells))


def measure(transport: str, scratch: Path, arguments: argparse.Namespace) -> Figures:
    """The figures of one daemon under load over one transport."""
    daemon = Daemon(scratch, notice=b"\x01\x02" * 8000, kind=KeyKind.POST_QUANTUM)
    site = secured(daemon, officers=transport)
    daemon.start()
    try:
        return run(site, placed(site, transport, arguments), arguments)
    finally:
        daemon.stop()


def placed(site: Site, transport: str, arguments: argparse.Namespace) -> Load:
    """The load of a site, with its ends at the places of trunk and officer."""
    daemon, tls = site.daemon, transport == "tls"
    make = functools.partial(
        StreamEnd,
        client=site.trunk.client(ca=site.ca) if tls else None,
        server=site.officers.server() if tls else None,
    )
    return Load(
        agent=Address("127.0.0.1", site.port if tls else daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0] + tls),
        service=SERVICE,
        rate=arguments.rate,
        calls=int(arguments.rate * arguments.seconds),
        talk=arguments.talk,
        keep_delays=False,
        ends=UdpEnd if transport == "udp" else make,
    )


def run(site: Site, load: Load, arguments: argparse.Namespace) -> Figures:
    """Place all calls, and wait until the last recording is stored."""
    daemon, calls = site.daemon, int(arguments.rate * arguments.seconds)
    before, started = usage(daemon), time.monotonic()
    load_cpu = time.process_time()
    load.run(limit=arguments.seconds + 60)
    elapsed = time.monotonic() - started
    load_cpu = time.process_time() - load_cpu
    failed = sum(bool(call.failed) or not call.ended for call in load.calls)
    backlog = calls - len(daemon.log("stored"))
    daemon.wait_for("stored", count=calls - failed, timeout=300)
    drained = time.monotonic() - started - elapsed
    after = usage(daemon)
    rows = daemon.rows()
    outcomes = Counter(str(row.outcome) for row in rows)
    setup = sorted(c.answered - c.begun for c in load.calls if c.answered) or [0.0]
    used = {
        role: seconds - before.by_role.get(role, 0.0)
        for role, seconds in sorted(after.by_role.items())
    }
    load.close()
    return {
        "calls": f"{calls} at {arguments.rate:g}/s",
        "failed": f"{failed}",
        "rows in the ledger": f"{len(rows)}",
        **{f"  {outcome}": f"{count}" for outcome, count in outcomes.items()},
        "distinct audio objects": f"{len(daemon.stored('.wav.age'))}",
        "backlog at the last call's end": f"{backlog}",
        "all stored after": f"{drained:.1f} s",
        "INVITE to 200, median": f"{setup[len(setup) // 2] * 1000:.1f} ms",
        "INVITE to 200, p99": f"{setup[int(len(setup) * 0.99)] * 1000:.1f} ms",
        "CPU per call, stored": f"{(after.cpu - before.cpu) / calls * 1000:.1f} ms",
        **{f"  {role}": f"{cpu / calls * 1000:.1f} ms" for role, cpu in used.items()},
        "generator, of a core": f"{load_cpu / elapsed * 100:.0f} %",
        "memory, all processes": f"{after.rss:.0f} MB",
    }


if __name__ == "__main__":
    main()
