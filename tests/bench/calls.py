"""Calls a second, each announced, answered, journalled for a second, and stored."""

import argparse
import tempfile
import time
from pathlib import Path

from agent.formats.age import KeyKind
from agent.model.media import Address
from tests.bench.load import Load
from tests.bench.usage import machine, usage
from tests.lab.daemon import SERVICE, Daemon


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--talk", type=float, default=1.2)
    arguments = parser.parse_args()
    calls = int(arguments.rate * arguments.seconds)
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        daemon = Daemon(
            Path(scratch), notice=b"\x01\x02" * 8000, kind=KeyKind.POST_QUANTUM
        ).start()
        try:
            run(daemon, calls, arguments)
        finally:
            daemon.stop()


def run(daemon: Daemon, calls: int, arguments: argparse.Namespace) -> None:
    load = Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=arguments.rate,
        calls=calls,
        talk=arguments.talk,
        keep_delays=False,
    )
    before, started = usage(daemon), time.monotonic()
    load_cpu = time.process_time()
    load.run(limit=arguments.seconds + 60)
    elapsed = time.monotonic() - started
    load_cpu = time.process_time() - load_cpu
    backlog = calls - len(daemon.log("stored"))
    daemon.wait_for("stored", count=calls, timeout=300)
    drained = time.monotonic() - started - elapsed
    after = usage(daemon)
    rows = daemon.rows()
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[str(row.outcome)] = outcomes.get(str(row.outcome), 0) + 1
    objects = len(daemon.stored(".wav.age"))
    setup = sorted(c.answered - c.begun for c in load.calls if c.answered)
    failed = sum(bool(call.failed) for call in load.calls)
    print(f"calls: {calls} at {arguments.rate}/s, failed {failed}")
    print(f"ledger: {len(rows)} rows, outcomes {outcomes}")
    print(f"distinct audio objects: {objects}")
    print(
        f"backlog when the last call ended: {backlog} recordings,"
        f" all stored {drained:.1f} s later"
    )
    print(
        f"INVITE to 200: median {setup[len(setup) // 2] * 1000:.1f} ms,"
        f" p99 {setup[int(len(setup) * 0.99)] * 1000:.1f} ms"
    )
    cpu = after.cpu - before.cpu
    print(f"CPU per call, stored: {cpu / calls * 1000:.1f} ms")
    for role, seconds in sorted(after.by_role.items()):
        used = seconds - before.by_role.get(role, 0.0)
        print(f"  {role}: {used / calls * 1000:.1f} ms")
    print(f"generator: {load_cpu / elapsed * 100:.0f} % of a core")
    print(f"memory at the end: {after.rss:.0f} MB, all processes")
    load.close()


if __name__ == "__main__":
    main()
