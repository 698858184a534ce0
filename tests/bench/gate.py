"""How many releases a second the gate answers, and how late, each after its row.

    python -m tests.bench.gate [--seconds 10] [--clients 1 8 32] [--store directory rgw]

The gate is a process of its own; the askers share its machine, and speak TLS too.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from agent.archive.audit_verification import read_rows
from agent.common.clock import monotonic, utc_ns
from agent.formats.layout import day_of
from agent.gate.targets import open_targets
from agent.identity.roster import load_roster
from tests.bench.usage import machine
from tests.gate.process import GateProcess, prepare, widen_limits
from tests.gate.site import GateSite, gate_site, on_buckets
from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client
from tests.ports import free_ports


async def ask(
    client: httpx.AsyncClient, ids: list[str], day: str, until: float
) -> list[float]:
    """Ask one after the other; the seconds that each took."""
    took = []
    number = 0
    while (begun := monotonic()) < until:
        body = {"id": ids[number % len(ids)], "day": day, "purpose": "quality"}
        answer = await client.post("/releases", json=body)
        answer.raise_for_status()
        took.append(monotonic() - begun)
        number += 1
    return took


async def measure(site: GateSite, args: argparse.Namespace) -> None:
    """Ask with more and more clients, and print what came of it."""
    day = day_of(utc_ns())
    targets = open_targets(site.config(), site.folder, site.secrets())
    target = targets["storage[0]"]
    ids = await prepare(site, target.state, day, args.recordings)
    gate = GateProcess(site)
    gate.start()
    answered = 0
    try:
        for clients in args.clients:
            async with gate.client(clients) as client:
                warm = await ask(client, ids, day.isoformat(), monotonic() + 0.5)
                before, begun = gate.cpu_seconds(), monotonic()
                until = begun + args.seconds
                lists = await asyncio.gather(
                    *(ask(client, ids, day.isoformat(), until) for _ in range(clients))
                )
                spent = monotonic() - begun
                cpu = gate.cpu_seconds() - before
            took = sorted(one for each in lists for one in each)
            answered += len(took) + len(warm)
            print(
                f"{clients:3} askers: {len(took) / spent:6.0f} releases/s,"
                f" median {statistics.median(took) * 1000:5.1f} ms,"
                f" p99 {took[int(len(took) * 0.99)] * 1000:6.1f} ms,"
                f" {cpu / len(took) * 1000:.2f} ms of the gate's CPU each"
            )
    finally:
        gate.kill()
    roster = load_roster(site.folder / "roster.signed", site.config().roster.root)
    log = read_rows(target.locked, "gate", roster.gate_keys())
    rows = [row async for row in log if row.act == "release"]
    print(f"{answered} releases, {len(rows)} rows of them")


@contextmanager
def stored(store: str, site: GateSite) -> Iterator[None]:
    """Where the recordings lie."""
    if store == "directory":
        yield
        return
    (site.folder / "ceph").mkdir()
    ceph = Ceph(site.folder / "ceph")
    try:
        keys = ceph.user("gate")
        client = s3_client(ceph.endpoint, keys)
        for bucket in ("gate-locked", "gate-state"):
            client.create_bucket(Bucket=bucket)
        on_buckets(site, ceph.endpoint, keys.access, keys.secret)
        yield
    finally:
        ceph.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument(
        "--store", nargs="+", choices=("directory", "rgw"), default=["directory"]
    )
    args = parser.parse_args()
    print(f"machine: {machine()}")
    for store in args.store:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            [port] = free_ports(1)
            site = gate_site(Path(folder), port)
            widen_limits(site.path)
            print(f"\n{store}")
            with stored(store, site):
                asyncio.run(measure(site, args))


if __name__ == "__main__":
    main()
