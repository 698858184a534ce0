"""The media of a session recording client: streams on one clock, each its own sound.

The sound of a stream is noise that no other has, and frame n of every stream is said at
the same moment: where in a recording a frame is, tells all that is to be known of it.
"""

import asyncio
import base64
import os
import random
import socket
from dataclasses import dataclass, field

from agent.model.media import SrtpSuite
from tests.fakes.srtp import Direction
from tests.lab.parties import FRAME, noise
from tests.lab.siprec.messages import MediaLine
from tests.ports import free_ports

SECONDS = 30.0
"How much each stream has to say."
SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80
_PTIME = 0.02


@dataclass
class Stream:
    """One m-line: what it is called, what is said on it, and where that goes."""

    label: str
    seed: int
    "Of its noise."
    payload_type: int = 8
    direction: str = "sendonly"
    secure: bool = False
    said: set[int] = field(default_factory=set)
    "Frames that were sent."
    reports: int = 0
    "RTCP packets that came back."
    remote: int = 0
    "The port that it is sent to, or 0."

    def __post_init__(self) -> None:
        [self.port] = free_ports(1)
        self.sound = noise(SECONDS, self.seed)
        "In the law of its payload type, an octet per sample."
        self.key = os.urandom(30)
        self._srtp = Direction(SUITE, self.key)
        rng = random.Random(self.seed)
        self._sequence = rng.getrandbits(15)
        self._timestamp, self._ssrc = rng.getrandbits(32), rng.getrandbits(32)
        self._rtp = _bound(self.port)
        self._rtcp = _bound(self.port + 1)

    def section(self) -> str:
        """Its part of an offer."""
        lines = [
            f"m=audio {self.port} RTP/{'SAVP' if self.secure else 'AVP'}"
            f" {self.payload_type} 101",
            "a=rtpmap:101 telephone-event/8000",
            "a=ptime:20",
            f"a={self.direction}",
            f"a=label:{self.label}",
        ]
        if self.secure:
            key = base64.b64encode(self.key).decode()
            lines.append(f"a=crypto:1 {SUITE.value} inline:{key}")
        return "\r\n".join(lines)

    def answered(self, line: MediaLine) -> None:
        """Send to where the answer says, or nowhere."""
        hears = line.direction in {"recvonly", "sendrecv"}
        self.remote = line.port if hears and self.direction == "sendonly" else 0

    def say(self, frame: int) -> None:
        """Send one frame; so that those that are not said leave a gap."""
        payload = self.sound[frame * FRAME : (frame + 1) * FRAME]
        self._sequence = (self._sequence + 1) & 0xFFFF
        timestamp = (self._timestamp + frame * FRAME) & 0xFFFFFFFF
        packet = (
            bytes((0x80, self.payload_type | (0 if self.said else 0x80)))
            + self._sequence.to_bytes(2, "big")
            + timestamp.to_bytes(4, "big")
            + self._ssrc.to_bytes(4, "big")
            + payload
        )
        if self.secure:
            packet = self._srtp.protect(packet)
        self._rtp.sendto(packet, ("127.0.0.1", self.remote))
        self.said.add(frame)
        self._hear()

    def _hear(self) -> None:
        for sock in (self._rtp, self._rtcp):
            while True:
                try:
                    sock.recv(2048)
                except (BlockingIOError, ConnectionRefusedError):
                    break
                self.reports += 1

    def close(self) -> None:
        """Let its ports go."""
        self._rtp.close()
        self._rtcp.close()


class Clock:
    """Says the next frame of every stream each 20 ms."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.frame = 0
        "The next to be said."
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with frame 0."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="src")

    async def stop(self) -> None:
        """Say no more, and let all ports go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for stream in self.streams:
            stream.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            for stream in self.streams:
                if stream.remote:
                    stream.say(self.frame)
            self.frame += 1
            await asyncio.sleep(max(0.0, start + self.frame * _PTIME - loop.time()))


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", port))
    return sock
