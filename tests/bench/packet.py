"""What one packet of a recorded call costs its media worker, with nothing at hand.

    python -m tests.bench.packet [--calls 20] [--seconds 8] [--without-memory]

Every leg of `--calls` calls takes a packet in turn, as in a worker's loop, and before
each turn memory is written over until no cache holds anything of them: on a busy host a
leg's turn comes fifty times a second, and others have been there meanwhile. What is
measured is this thread's CPU from the socket that is read to the one that is written,
system calls included, and sealing a second of it. A whole worker's figure (`media`)
wavers by a tenth from run to run, this one by a thirtieth: compare versions in turns.
`--without-memory` keeps nothing for a worker's successor, which tells what that costs.
"""

import argparse
import gc
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from agent.formats.journal import JournalHeader
from agent.media.open_block import OpenBlock, create_open_block
from agent.media.tap import JournalTap, Target
from agent.model.media import Latch
from tests.bench.usage import machine
from tests.media.legs import Bench
from tests.media.phones import audio_bytes

PACKETS: Final = 50
"Of one leg in a second."
DIRT: Final = 24 << 20
"Bytes written over before each turn: more than a core's own caches hold."
WARM_UP: Final = 50


class Disk:
    """Has written whatever it is given."""

    def open(self, journal: str, path: Path, before: tuple[Path, ...]) -> None: ...

    def append(self, _: str, __: bytes, written: Callable[[], None]) -> bool:
        written()
        return True

    def close(self, journal: str) -> None: ...


@dataclass
class Call:
    """Two bridged legs, and their recording."""

    legs: Bench
    tap: JournalTap

    def send(self) -> None:
        """Have both phones speak."""
        for phone in self.legs.phones:
            phone.say(audio_bytes(phone.sequence))

    def hear(self) -> None:
        """Empty the phones' sockets."""
        for phone in self.legs.phones:
            discard(phone.rtp)


def discard(channel: socket.socket) -> None:
    while True:
        try:
            channel.recv(2048)
        except BlockingIOError:
            return


def target(number: int) -> Target:
    return Target(
        header=JournalHeader(
            recording_id=str(UUID(int=number)),
            epoch=0,
            key_id=bytes(8),
            salt=bytes(32),
            utc_ns=0,
            monotonic_ns=0,
        ),
        journal_key=bytes(32),
        path=Path(f"/{number}.0.journal"),
    )


def call(number: int, *, in_memory: bool) -> Call:
    """A recorded call, each of whose legs has found its phone."""
    legs = Bench()
    for leg, phone in zip((legs.a, legs.b), legs.phones, strict=True):
        phone.ssrc += number
        # One's RTCP shares RTP's port, as where phones offer it: the dearer path.
        audio = replace(phone.negotiated(), rtcp_mux=leg is legs.a)
        leg.configure(audio, Latch.ADDRESS)
    legs.a.rewire_both()
    kept = OpenBlock(create_open_block(2)) if in_memory else None
    tap = JournalTap(target(number), Disk(), print, 0, kept)
    tap.grant()
    for index, leg in enumerate((legs.a, legs.b)):
        leg.tap, leg.tap_index = tap, index
    return Call(legs, tap)


def measure(calls: list[Call], seconds: int) -> tuple[list[float], list[float]]:
    """Nanoseconds of CPU of one packet in each turn, and of sealing one in a second."""
    handlers = [leg.on_rtp for one in calls for leg in (one.legs.a, one.legs.b)]
    dirt, clean = bytearray(DIRT), bytes(DIRT)
    taking, sealing = [], []
    for turn in range(WARM_UP + seconds * PACKETS):
        for one in calls:
            one.send()
        dirt[:] = clean
        begun = time.thread_time_ns()
        for handler in handlers:
            handler()
        taking.append((time.thread_time_ns() - begun) / len(handlers))
        for one in calls:
            one.hear()
        if turn % PACKETS == PACKETS - 1:
            dirt[:] = clean
            begun = time.thread_time_ns()
            for one in calls:
                one.tap.ripen()
                one.tap.seal(0)
            used = time.thread_time_ns() - begun
            sealing.append(used / len(handlers) / PACKETS)
    return taking[WARM_UP:], sealing[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20, help="24 at most")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--without-memory", action="store_true")
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    numbers = range(1, arguments.calls + 1)
    calls = [call(n, in_memory=not arguments.without_memory) for n in numbers]
    gc.collect()
    gc.freeze()
    taking, sealing = measure(calls, arguments.seconds)
    quiet = statistics.quantiles(taking, n=4)[0]
    print(
        f"a packet: {statistics.median(taking) / 1000:.2f} µs, in the best quarter of"
        f" turns {quiet / 1000:.2f} µs; sealing it"
        f" {statistics.median(sealing) / 1000:.2f} µs"
    )
    taken = sum(one.tap.packets for one in calls)
    print(f"{taken} packets taken, of {arguments.calls} calls")


if __name__ == "__main__":
    main()
