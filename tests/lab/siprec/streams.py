"""The media of a session recording client: streams on one clock, each its own sound.

The sound of a stream is noise that no other has, and frame n of every stream is said at
the same moment: where in a recording a frame is, tells all that is to be known of it.
"""

import asyncio
import base64
import functools
import itertools
import math
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from G722 import G722

from agent.formats.codecs.g711 import decode_alaw, decode_ulaw
from agent.formats.codecs.opus_audio import encode
from agent.model.media import SrtpSuite
from tests.fakes.srtp import Direction
from tests.lab.parties import FRAME, RATE
from tests.lab.siprec.messages import MediaLine
from tests.ports import free_ports

SECONDS = 30.0
"How much each stream has to say."
SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80
_LOUD = 9000
"Far from what is clipped, two of them together too."
_PTIME = 0.02
PT_PCMU, PT_PCMA, PT_G722, PT_OPUS = 0, 8, 9, 107
"Payload types."
_MAPS = {PT_OPUS: "opus/48000/2"}
"What has to be told of those that are not static (RFC 3551)."


@dataclass
class Stream:
    """One m-line: what it is called, what is said on it, and where that goes."""

    label: str
    seed: int
    "Of its noise."
    payload_type: int = PT_PCMA
    seconds: float = SECONDS
    kind: str = "audio"
    direction: str = "sendonly"
    secure: bool = False
    said: set[int] = field(default_factory=set)
    "Frames that were sent."
    reports: int = 0
    "RTCP packets that came back."
    remote: int = 0
    "The port that it is sent to, or 0."
    since: int = 0
    "The first frame that is sent there."

    def __post_init__(self) -> None:
        [self.port] = free_ports(1)
        self.key = os.urandom(30)
        self._srtp = Direction(SUITE, self.key)
        self.renew()
        self._rtp = _bound(self.port)
        self._rtcp = _bound(self.port + 1)

    @functools.cached_property
    def sound(self) -> bytes:
        """All of it in a law of G.711, an octet per sample: what is then encoded."""
        law = self._law
        samples = np.frombuffer(law(bytes(range(256))), "<i2").astype(int)
        codes = np.flatnonzero(np.abs(samples) <= _LOUD).astype(np.uint8)
        numbers = np.random.default_rng(self.seed)
        return bytes(numbers.choice(codes, round(self.seconds * RATE)))

    @property
    def pcm16(self) -> bytes:
        """All of it in samples of 8 kHz."""
        return self._law(self.sound)

    @property
    def _law(self) -> Callable[[bytes], bytes]:
        return decode_ulaw if self.payload_type == PT_PCMU else decode_alaw

    @functools.cached_property
    def payloads(self) -> list[bytes]:
        """All of it as it is sent, frame by frame."""
        if self.payload_type == PT_OPUS:
            return encode(self.pcm16, RATE)
        if self.payload_type == PT_G722:
            # Frame by frame: in a thread, it lets others have their turn.
            samples, coder = np.frombuffer(self.pcm16, "<i2"), G722(RATE, 64_000)
            return [
                bytes(coder.encode(samples[at : at + FRAME].tolist()))
                for at in range(0, len(samples), FRAME)
            ]
        sound = self.sound
        return [sound[at : at + FRAME] for at in range(0, len(sound), FRAME)]

    def renew(self) -> None:
        """Be another source from now on, as after a transfer behind the client."""
        self._sequence = random.getrandbits(15)
        self._timestamp, self._ssrc = random.getrandbits(32), random.getrandbits(32)

    def section(self) -> str:
        """Its part of an offer."""
        lines = [
            f"m={self.kind} {self.port} RTP/{'SAVP' if self.secure else 'AVP'}"
            f" {self.payload_type}",
            f"a={self.direction}",
            f"a=label:{self.label}",
        ]
        if name := _MAPS.get(self.payload_type):
            lines.append(f"a=rtpmap:{self.payload_type} {name}")
        if self.secure:
            key = base64.b64encode(self.key).decode()
            lines.append(f"a=crypto:1 {SUITE.value} inline:{key}")
        return "\r\n".join(lines)

    def answered(self, line: MediaLine, since: int) -> None:
        """Send to where the answer says, or nowhere, from a frame on."""
        hears = line.direction in {"recvonly", "sendrecv"}
        was, self.remote = self.remote, 0
        if hears and self.direction == "sendonly":
            self.remote = line.port
        if not was:
            self.since = since

    def say(self, frame: int) -> None:
        """Send one frame; so that those that are not said leave a gap."""
        payload = self.payloads[frame]
        ticks = FRAME * (6 if self.payload_type == PT_OPUS else 1)
        self._sequence = (self._sequence + 1) & 0xFFFF
        timestamp = (self._timestamp + frame * ticks) & 0xFFFFFFFF
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
        self._begun = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def frame(self) -> int:
        """The next whose time comes, however late who says them may be."""
        now = asyncio.get_running_loop().time()
        return math.ceil((now - self._begun) / _PTIME)

    def start(self) -> None:
        """Begin with frame 0."""
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        self._task = loop.create_task(self._run(), name="src")

    async def stop(self) -> None:
        """Say no more, and let all ports go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for stream in self.streams:
            stream.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for frame in itertools.count():
            await asyncio.sleep(max(0.0, self._begun + frame * _PTIME - loop.time()))
            for stream in self.streams:
                if stream.remote and frame >= stream.since:
                    stream.say(frame)


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", port))
    return sock
