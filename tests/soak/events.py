"""Events while everything goes wrong with the broker: none lost, none out of order.

    python -m tests.soak.events [--calls 2000] [--rounds 3]

A host whose calls are driven at its ledger, and a real mosquitto with TLS, which in
each round is killed, stopped, stalled, and told to refuse events. Afterwards every
event of every call must have come, in order, and twice only with the same id; what the
process holds in memory is measured.
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path

from tests.bench.usage import machine
from tests.lab.mosquitto import ACL, Mosquitto
from tests.lab.subscriber import Subscriber, first_of_each
from tests.lab.told import KINDS, TellingHost

DENYING = ACL.replace(
    "topic write recording-agent/#", "topic write recording-agent/host-a/status"
)


def memory() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def disturb(broker: Mosquitto, seconds: float) -> None:
    """One round of everything."""
    broker.kill()
    await asyncio.sleep(seconds)
    await broker.start()
    await asyncio.sleep(seconds)
    broker.pause()
    await asyncio.sleep(seconds)
    broker.go_on()
    await asyncio.sleep(seconds)
    broker.write_acl(DENYING)
    broker.reload()
    await asyncio.sleep(seconds)
    broker.write_acl(ACL)
    broker.reload()
    await asyncio.sleep(seconds)
    broker.stop()
    await asyncio.sleep(seconds)
    await broker.start()


async def drive(host: TellingHost, calls: int, at_once: int) -> None:
    """So many calls, so many of them at once."""
    left = iter(range(calls))

    async def one_after_the_other() -> None:
        for number in left:
            await host.call(0.02 * (number % 5))

    async with asyncio.TaskGroup() as group:
        for number in range(at_once):
            group.create_task(one_after_the_other(), name=f"caller-{number}")


async def run(calls: int, rounds: int, at_once: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        broker = Mosquitto(Path(name) / "broker")
        await broker.start()
        host = TellingHost(Path(name) / "host", broker.section())
        try:
            async with Subscriber(broker.plain) as reader, host:
                await drive(host, calls // 10, at_once)  # until all is warm
                await host.all_sent(60)
                begun, before, most = time.monotonic(), memory(), 0
                driven = asyncio.create_task(  # noqa: TID251 - watched below
                    drive(host, calls, at_once), name="calls"
                )
                for _ in range(rounds):
                    await disturb(broker, 2.0)
                    most = max(most, (await host.outbox.backlog()).rows)
                await driven
                took = time.monotonic() - begun
                await host.all_sent(300)
                wanted = len(KINDS) * len(host.calls)
                with contextlib.suppress(TimeoutError):
                    await reader.until(
                        lambda: len(first_of_each(reader.events())) >= wanted, 30
                    )
                report(host, reader, took=took, most=most)
                # The reader is in this process, too: what it has read is its own.
                read = sum(len(str(message)) for message in reader.messages) / (1 << 20)
                print(f"memory: {before:.0f} MiB, then {memory():.0f}; read {read:.0f}")
        finally:
            broker.stop()


def report(host: TellingHost, reader: Subscriber, *, took: float, most: int) -> None:
    """Say what came, and fail if it is not what was told."""
    events = first_of_each(reader.events())
    of_call: dict[str, list[str]] = {}
    for event in events:
        of_call.setdefault(event["call_id"], []).append(event["kind"])
    wrong = [name for name in host.calls if of_call.get(name) != KINDS]
    stats = host.publisher.stats
    print(f"{machine()}")
    print(
        f"{len(host.calls)} calls in {took:.0f} s, {len(events)} events of"
        f" {len(KINDS) * len(host.calls)}, {len(reader.events()) - len(events)} came"
        f" twice, {most} waited at most; {stats.connections} connections,"
        f" {stats.refused} refusals, {stats.dropped} dropped"
    )
    if wrong:
        raise SystemExit(f"{len(wrong)} calls were told wrongly, {wrong[0]} among them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=50)
    given = parser.parse_args()
    asyncio.run(run(given.calls, given.rounds, given.at_once))


if __name__ == "__main__":
    main()
