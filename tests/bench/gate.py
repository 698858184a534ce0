"""How many releases a second the gate answers, and how late, each after its row.

The gate is a process of its own; the askers share its machine, and sign TLS too.
"""

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

import httpx

from agent.common.clock import monotonic, utc_ns
from agent.formats.layout import day_of
from agent.upload.backends.directory import DirectoryBackend
from tests.gate.process import GateProcess, prepare, widen_limits
from tests.gate.site import gate_site
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


async def measure(folder: Path, args: argparse.Namespace) -> None:
    [port] = free_ports(1)
    site = gate_site(folder, port)
    widen_limits(site.path)
    day = day_of(utc_ns())
    state = DirectoryBackend(folder / "state")
    ids = await prepare(site, state, day, args.recordings)
    gate = GateProcess(site)
    gate.start()
    try:
        for clients in args.clients:
            async with gate.client(clients) as client:
                await ask(client, ids, day.isoformat(), monotonic() + 0.5)
                before, begun = gate.cpu_seconds(), monotonic()
                until = begun + args.seconds
                lists = await asyncio.gather(
                    *(ask(client, ids, day.isoformat(), until) for _ in range(clients))
                )
                spent = monotonic() - begun
                cpu = gate.cpu_seconds() - before
            took = sorted(one for each in lists for one in each)
            print(
                f"{clients:3} askers: {len(took) / spent:6.0f} releases/s,"
                f" median {statistics.median(took) * 1000:5.1f} ms,"
                f" p99 {took[int(len(took) * 0.99)] * 1000:6.1f} ms,"
                f" {cpu / len(took) * 1000:.2f} ms of the gate's CPU each"
            )
    finally:
        gate.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), args))


if __name__ == "__main__":
    main()
