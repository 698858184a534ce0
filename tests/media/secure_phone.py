"""A phone whose RTP is SRTP, by the tests' own implementation and not libsrtp's."""

import asyncio
import random
from dataclasses import replace

from agent.formats.rtp.packet import RtpPacket, parse_rtp
from agent.model.media import Direction as Way, NegotiatedAudio, SrtpKeys, SrtpSuite
from tests.fakes.srtp import BadTagError, Direction
from tests.media.phones import Phone
from tests.patience import PATIENCE

SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80


def new_key(seed: int, suite: SrtpSuite = SUITE) -> bytes:
    return random.Random(seed).randbytes(suite.key_size)


class SecurePhone(Phone):
    """Sends under one key and hears under another; `sequence` counts the rollovers."""

    def __init__(
        self,
        *,
        suite: SrtpSuite = SUITE,
        ssrc: int = 0x1234,
        mux: bool = False,
        seed: int = 1,
    ) -> None:
        super().__init__(ssrc=ssrc)
        self.suite = suite
        self.mux = mux
        self.key, self.agents_key = new_key(seed, suite), new_key(seed + 1, suite)
        self.rekey()

    def rekey(self, *, key: bytes = b"", agents_key: bytes = b"") -> None:
        """Take new keys into use, on this side."""
        self.key, self.agents_key = key or self.key, agents_key or self.agents_key
        self.outward = Direction(self.suite, self.key)
        self.inward = Direction(self.suite, self.agents_key)
        self.unauthentic = 0
        self.rollovers_heard = 0

    def negotiated(
        self,
        *,
        direction: Way = Way.SENDRECV,
        telephone_event: int | None = None,
        ptime: int = 20,
    ) -> NegotiatedAudio:
        audio = super().negotiated(
            direction=direction, telephone_event=telephone_event, ptime=ptime
        )
        return replace(
            audio,
            remote_rtcp=audio.remote if self.mux else audio.remote_rtcp,
            rtcp_mux=self.mux,
            srtp=SrtpKeys(suite=self.suite, send=self.agents_key, receive=self.key),
        )

    def sealed(self, packet: bytes) -> bytes:
        """A packet as it goes over the wire: the last that `next_packet` made."""
        return self.outward.protect(packet, (self.sequence - 1) >> 16)

    def say(self, payload: bytes) -> bytes:
        packet = self.next_packet(payload)
        self.send(self.sealed(packet))
        return packet

    def opened(self, data: bytes) -> RtpPacket | None:
        """What the agent's packet holds; None if it is not under its key."""
        for rollovers in (self.rollovers_heard, self.rollovers_heard + 1):
            try:
                packet = parse_rtp(self.inward.unprotect(data, rollovers))
            except BadTagError:
                continue
            self.rollovers_heard = rollovers
            return packet
        self.unauthentic += 1
        return None

    async def hear(self) -> RtpPacket:
        async with asyncio.timeout(PATIENCE):
            loop = asyncio.get_running_loop()
            while (packet := self.opened(await loop.sock_recv(self.rtp, 2000))) is None:
                pass
            return packet

    def heard(self) -> list[RtpPacket]:
        packets = []
        while True:
            try:
                data = self.rtp.recv(2000)
            except BlockingIOError:
                return packets
            if (packet := self.opened(data)) is not None:
                packets.append(packet)
