"""Two bridged legs on real sockets, driven by hand."""

import random
import socket
from dataclasses import replace
from itertools import cycle

from agent.media.leg import MediaLeg
from agent.media.playable import Packets, Samples
from agent.model.media import Address, Latch
from tests.media.phones import HOST, Phone
from tests.ports import span

FIRST = span(100)
PORTS = cycle(range(FIRST, FIRST + 99))
OPUS_20_MS = bytes((19 << 3, 1, 2, 3))


def udp() -> socket.socket:
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # By number, as the pool does it: only such a port survives disconnecting.
    channel.bind((HOST, next(PORTS)))
    channel.settimeout(0)
    return channel


class Bench:
    """Two bridged legs on real sockets, driven by hand."""

    def __init__(self) -> None:
        self.latched: list[str] = []
        self.sources: list[str] = []
        self.a, self.b = self.leg("a"), self.leg("b")
        self.a.partner, self.b.partner = self.b, self.a
        self.phones = Phone(), Phone()
        for leg, phone in zip((self.a, self.b), self.phones, strict=True):
            phone.agent = Address(*leg.rtp.getsockname())

    def leg(self, name: str) -> MediaLeg:
        return MediaLeg(
            name,
            udp(),
            udp(),
            random.Random(1),
            on_latched=lambda leg: self.latched.append(leg.name),
            on_source=lambda leg: self.sources.append(leg.name),
        )

    def configure(self, **changes: object) -> None:
        for leg, phone in zip((self.a, self.b), self.phones, strict=True):
            audio = replace(phone.negotiated(telephone_event=101), **changes)
            leg.configure(audio, Latch.ADDRESS)
        self.a.rewire()
        self.b.rewire()

    def relay(self, count: int) -> list[bytes]:
        """Let leg a take datagrams; what the phone at b hears."""
        for _ in range(count):
            self.a.on_rtp()
        return [packet.payload for packet in self.phones[1].heard()]

    def close(self) -> None:
        for leg in (self.a, self.b):
            leg.close()
        for phone in self.phones:
            phone.rtp.close()
            phone.rtcp.close()


def in_a_law(data: bytes) -> dict[str, Samples | Packets]:
    return {"PCMA": Samples(data, 0, len(data))}
