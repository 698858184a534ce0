"""Calls of two phones with clocks of their own, and clicks that can be told apart.

Each click is five runs of full-scale A-law: a beginning, the leg, three digits of its
number. So a click that was moved by a whole period, or into the other channel, shows.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agent.formats.aligner import StereoTrack
from agent.formats.codecs.g711 import encode_alaw
from agent.formats.container import read_wav
from agent.formats.timeline import LegResult
from tests.formats.pairs import align
from tests.formats.signals import pcm16
from tests.formats.streams import MS, START, Leg

PACKET: Final = 160
RATE: Final = 8000
RUN: Final = 8
"Samples of each sign of a click."
MARGIN: Final = 10
"A click lies so far inside its packet, at least."

# The loudest sixteenth of A-law, up and down: nothing else in the audio comes near.
_UP: Final = [bits ^ 0x55 for bits in range(0xF0, 0x100)]
_DOWN: Final = [bits ^ 0x55 for bits in range(0x70, 0x80)]
_SIGNS: Final = [_UP, _DOWN, _UP, _DOWN, _UP]


class Click(NamedTuple):
    leg: int
    number: int
    at: float
    "Its place in samples: on the agent's clock where it was sent, else as found."


class Hold(NamedTuple):
    """Nobody is listened to for a while, and what the phones do meanwhile."""

    start: float
    "Seconds from the beginning."
    end: float
    kind: str
    """`runs`: the RTP clock goes on, silent. `stops`: it stands still. `restarts`: it
    begins anew, with another sequence. `replaced`: so does another source."""


@dataclass(frozen=True)
class Phone:
    """One leg's sender and the way from it."""

    ppm: float = 0.0
    "How much its clock is fast."
    loss: float = 0.0
    jitter_ms: float = 0.0
    delay_ms: Sequence[tuple[float, float]] = ((0.0, 0.0),)
    "From which second on the way takes so long beyond the shortest."
    talking: float = 1.0
    "How much of the time it sends: seconds of talk and of silence, by chance."
    seed: int = 1


@dataclass(frozen=True)
class Call:
    """What was sent, as it was received."""

    legs: tuple[LegResult, LegResult]
    track: StereoTrack
    sent: list[Click]
    "Those whose packet came, while somebody listened."


def make_call(
    phones: tuple[Phone, Phone],
    *,
    seconds: float,
    holds: Sequence[Hold] = (),
    every: float = 2.0,
) -> Call:
    """Two phones on the air, with a click on both `every` so many seconds."""
    results, clicks = [], []
    for leg, phone in enumerate(phones):
        timeline = Leg({8: "PCMA"}, START)
        for hold in holds:
            timeline.mark(START + round(hold.start * 1000 * MS), "hold")
            timeline.mark(START + round(hold.end * 1000 * MS), "resume")
        sending = _Sending(leg, phone, seconds, holds, every)
        for arrival, packet in sorted(sending.packets()):
            timeline.take(START + arrival, packet)
        results.append(timeline.finish(START + round(seconds * 1000 * MS)))
        clicks += sending.clicks
    legs = (results[0], results[1])
    return Call(legs, align(*legs, seconds * 1000), clicks)


class _Sending:
    """One phone's packets, and which of its clicks went through."""

    def __init__(
        self,
        leg: int,
        phone: Phone,
        seconds: float,
        holds: Sequence[Hold],
        every: float,
    ) -> None:
        self._leg, self._phone, self._holds = leg, phone, holds
        self._rng = Random(phone.seed)
        self._talks = [
            self._rng.random() < phone.talking for _ in range(int(seconds * 1.1) + 2)
        ]
        self._pace = 1 + phone.ppm * 1e-6
        self._count = int(seconds * RATE * self._pace) // PACKET
        self._due = {
            int(n * every * RATE * self._pace) // PACKET: n
            for n in range(1, int(seconds / every))
        }
        self.clicks: list[Click] = []

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Arrival in nanoseconds from the beginning, and the packet."""
        rng, phone = self._rng, self._phone
        room = _room(rng)
        sequence, base, ssrc = rng.getrandbits(16), rng.getrandbits(32), 0xA
        held: Hold | None = None
        for n in range(self._count):
            at = n * PACKET / RATE / self._pace
            arrival = at + (rng.random() * phone.jitter_ms + self._delay(at)) / 1000
            lost = rng.random() < phone.loss
            now = next((h for h in self._holds if h.start <= at < h.end), None)
            if held is not None and now is None:
                silent = round((held.end - held.start) * 50 * self._pace)
                sequence, base, ssrc = self._resume(held, sequence, base, ssrc, silent)
            held = now
            if not self._talks[n // 50]:
                continue
            if now is not None or any(h.start <= arrival < h.end for h in self._holds):
                sequence += now is None
                continue
            payload = bytearray(room[n % len(room)])
            number = self._due.get(n)
            if number is not None and not lost:
                start = rng.randrange(MARGIN, PACKET - MARGIN - 5 * RUN)
                payload[start : start + 5 * RUN] = _click(self._leg, number)
                place = (n * PACKET + start) / self._pace
                self.clicks.append(Click(self._leg, number, place))
            if not lost:
                timestamp = (base + n * PACKET) & 0xFFFFFFFF
                header = struct.pack(
                    ">BBHII", 0x80, 8, sequence & 0xFFFF, timestamp, ssrc
                )
                yield round(arrival * 1e9), header + payload
            sequence += 1

    def _delay(self, at: float) -> float:
        return [delay for since, delay in self._phone.delay_ms if since <= at][-1]

    def _resume(
        self, held: Hold, sequence: int, base: int, ssrc: int, silent: int
    ) -> tuple[int, int, int]:
        if held.kind == "stops":
            return sequence, base - silent * PACKET, ssrc
        if held.kind == "restarts":
            return self._rng.getrandbits(16), self._rng.getrandbits(32), ssrc
        if held.kind == "replaced":
            return self._rng.getrandbits(16), self._rng.getrandbits(32), ssrc + 1
        return sequence, base, ssrc


def _room(rng: Random) -> list[bytes]:
    """Packets of a quiet room."""
    noise = np.array([rng.gauss(0, 60) for _ in range(50 * PACKET)])
    octets = encode_alaw(pcm16(noise))
    return [octets[at : at + PACKET] for at in range(0, len(octets), PACKET)]


def _click(leg: int, number: int) -> bytes:
    digits = (15, leg, number >> 8, number >> 4 & 15, number & 15)
    return b"".join(
        bytes((signs[digit],)) * RUN
        for signs, digit in zip(_SIGNS, digits, strict=True)
    )


def found(track: StereoTrack) -> list[Click]:
    """The clicks of a track of A-law, `at` the samples they were found at.

    Raises AssertionError for a piece of one.
    """
    samples = np.frombuffer(read_wav(b"".join(track.file())).samples, np.uint8)
    return [click for leg in (0, 1) for click in _in_channel(samples[leg::2])]


def _in_channel(octets: npt.NDArray[np.uint8]) -> Iterator[Click]:
    loud = np.isin(octets, _UP + _DOWN)
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        signs = octets[start:end].astype(np.int64)
        firsts = [0, *(np.flatnonzero(np.diff(signs)) + 1).tolist()]
        values = signs[firsts].tolist()
        assert len(values) == 5, f"half a click at {start}"
        begin, leg, *rest = (
            alphabet.index(value)
            for alphabet, value in zip(_SIGNS, values, strict=True)
        )
        assert begin == 15
        yield Click(leg, rest[0] << 8 | rest[1] << 4 | rest[2], start)
