"""Made-up RTP senders for the timeline's tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.formats.rtp.packet import RtpPacket
from agent.formats.timeline import Frame, Gap, LegResult, LegTimeline

MS = 1_000_000
START = 5_000_000_000_000
"Position 0 of the tests' segments, on the monotonic clock."
CODECS = {8: "PCMA", 0: "PCMU", 13: "CN", 101: "telephone-event"}


class Kept:
    """A leg's packets, one behind the other."""

    def __init__(self) -> None:
        self.data = bytearray()

    def octets(
        self, places: Sequence[int], sizes: Sequence[int]
    ) -> Iterator[memoryview]:
        for place, size in zip(places, sizes, strict=True):
            yield memoryview(bytes(self.data[place : place + size]))


class Leg(LegTimeline):
    """A leg that keeps its packets itself."""

    def __init__(
        self, codecs: Mapping[int, str], start_ns: int, joined_ns: int | None = None
    ) -> None:
        self._kept = Kept()
        super().__init__(codecs, start_ns, self._kept, joined_ns=joined_ns)

    def take(self, arrival_ns: int, packet: bytes) -> None:
        self.add(arrival_ns, packet, len(self._kept.data))
        self._kept.data += packet


class Sent(NamedTuple):
    """A packet and when it arrives, in milliseconds from position 0."""

    at: float
    packet: RtpPacket


def sender(
    numbers: Iterable[int],
    *,
    first_sequence: int = 100,
    first_timestamp: int = 10_000,
    ssrc: int = 0xA,
    payload_type: int = 8,
    start: float = 0.0,
    delay: float = 0.0,
    samples: int = 160,
) -> list[Sent]:
    """Packets of `samples` each; number n arrives at start + n packets + delay.

    The payload of packet n is n repeated.
    """
    return [
        Sent(
            start + n * samples / 8 + delay,
            RtpPacket(
                payload_type=payload_type,
                marker=False,
                sequence_number=(first_sequence + n) % (1 << 16),
                timestamp=(first_timestamp + n * samples) % (1 << 32),
                ssrc=ssrc,
                payload=bytes((n % 256,)) * samples,
            ),
        )
        for n in numbers
    ]


def timeline(sent: Iterable[Sent]) -> Leg:
    """A leg that got these packets, in order of arrival."""
    leg = Leg(CODECS, START)
    for at, packet in sorted(sent, key=lambda s: s.at):
        leg.take(START + round(at * MS), packet.to_bytes())
    return leg


def finish(leg: LegTimeline, *, milliseconds: float) -> LegResult:
    return leg.finish(START + round(milliseconds * MS))


def heard(frame: Frame) -> bytes:
    """The octets of a frame that found a place, of a codec of one octet per tick."""
    return bytes(frame.payload[frame.skip : frame.skip + frame.length])


def placed(result: LegResult) -> list[tuple[int, int, int]]:
    """(position, samples, first octet) of each frame."""
    return [(f.position, f.length, heard(f)[0]) for f in result.frames]


def of_frames(result: LegResult, field: str) -> npt.NDArray[np.int64]:
    """What a number is in each frame."""
    return np.array([getattr(frame, field) for frame in result.frames], np.int64)


def steady(numbers: Sequence[int], *, first: int = 0) -> list[tuple[int, int, int]]:
    """What `placed` gives for whole packets at 20 ms each."""
    return [(first + n * 160, 160, n % 256) for n in numbers]


def without(sent: list[Sent], *numbers: int) -> list[Sent]:
    return [s for n, s in enumerate(sent) if n not in numbers]


def odd(number: int, payload_type: int, payload: bytes) -> Sent:
    """A packet of the steady stream that stands still after three packets."""
    (sent,) = sender([number], payload_type=payload_type)
    return sent._replace(packet=replace(sent.packet, timestamp=10_480, payload=payload))


def result_of(sent: list[Sent], *, milliseconds: float = 200) -> LegResult:
    return finish(timeline(sent), milliseconds=milliseconds)


def spans(*marks: tuple[float, str], milliseconds: float) -> list[Gap]:
    """What marks, at so many milliseconds, make of a leg from which nothing came."""
    leg = timeline([])
    for at, kind in marks:
        leg.mark(START + round(at * MS), kind)
    return finish(leg, milliseconds=milliseconds).gaps
