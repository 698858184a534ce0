"""Phones that speak RTP over real sockets, and a pool with its events at hand."""

import asyncio
import json
import select
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from agent.common.ids import new_id
from agent.formats.journal_reading import Journal, read_journal
from agent.formats.rtp.packet import RtpPacket, parse_rtp
from agent.media.config import MediaConfig
from agent.media.events import Latched, MediaEvent, PlayEnded, RecordingOpened
from agent.media.pool import MediaPool
from agent.media.sound import Sound
from agent.model.media import PCMA, Address, Codec, Direction, Latch, NegotiatedAudio
from tests.patience import PATIENCE

HOST = "127.0.0.1"
KEY = bytes(range(32))

E = TypeVar("E")


def audio_bytes(seed: int, count: int = 160) -> bytes:
    """Audio that differs from packet to packet."""
    return bytes((seed * 7 + n) & 0xFF for n in range(count))


def sound(name: str, samples: bytes) -> Sound:
    """A sound whose µ-law differs visibly from its A-law."""
    return Sound(
        name=name,
        sha256="",
        duration_ms=len(samples) // 8,
        pcma=samples,
        pcmu=bytes(byte ^ 0x2A for byte in samples),
    )


class Phone:
    """One peer: RTP and RTCP sockets, a source, and what it was told."""

    def __init__(self, *, codec: Codec = PCMA, ssrc: int = 0x1234) -> None:
        self.codec = codec
        self.ssrc = ssrc
        self.sequence = 1000
        self.timestamp = 5000
        self.rtp = _udp()
        self.rtcp = _udp()
        self.agent = Address(HOST, 0)
        self.before_sending: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.rtp.close()
        self.rtcp.close()

    def negotiated(
        self,
        *,
        direction: Direction = Direction.SENDRECV,
        telephone_event: int | None = None,
        ptime: int = 20,
    ) -> NegotiatedAudio:
        return NegotiatedAudio(
            remote=Address(HOST, self.rtp.getsockname()[1]),
            remote_rtcp=Address(HOST, self.rtcp.getsockname()[1]),
            codec=self.codec,
            telephone_event=telephone_event,
            direction=direction,
            ptime=ptime,
        )

    def next_packet(
        self,
        payload: bytes,
        *,
        payload_type: int | None = None,
        marker: bool = False,
    ) -> bytes:
        packet = RtpPacket(
            payload_type=self.codec.payload_type
            if payload_type is None
            else payload_type,
            marker=marker,
            sequence_number=self.sequence & 0xFFFF,
            timestamp=self.timestamp & 0xFFFFFFFF,
            ssrc=self.ssrc,
            payload=payload,
        )
        self.sequence += 1
        self.timestamp += 160
        return packet.to_bytes()

    def say(self, payload: bytes) -> bytes:
        """Send one packet; returns it."""
        packet = self.next_packet(payload)
        self.send(packet)
        return packet

    def send(self, data: bytes) -> None:
        self.before_sending()
        self.rtp.sendto(data, (self.agent.host, self.agent.port))

    async def hear(self) -> RtpPacket:
        """The next packet that arrives."""
        async with asyncio.timeout(PATIENCE):
            loop = asyncio.get_running_loop()
            return parse_rtp(await loop.sock_recv(self.rtp, 2000))

    async def hear_many(self, count: int) -> list[RtpPacket]:
        return [await self.hear() for _ in range(count)]

    async def hear_rtcp(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.rtcp, 2000)

    def heard(self) -> list[RtpPacket]:
        """What has arrived and was not taken."""
        packets = []
        while True:
            try:
                packets.append(parse_rtp(self.rtp.recv(2000)))
            except BlockingIOError:
                return packets


def _udp() -> socket.socket:
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    channel.settimeout(0)
    channel.bind((HOST, 0))
    return channel


class Site:
    """A pool, and the events it told."""

    def __init__(
        self, config: MediaConfig, directory: Path, *, apart: bool = False
    ) -> None:
        self.journals = directory / "journal"
        self.journals.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.events: list[MediaEvent] = []
        self._news = asyncio.Event()
        self._taken: set[int] = set()
        self.pool = MediaPool(
            config,
            runtime_directory=directory / "run",
            on_event=self._on_event,
            journal_directory=self.journals,
            workers_apart=apart,
        )

    def _on_event(self, event: MediaEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def event(
        self, kind: type[E], matches: Callable[[E], bool] = lambda _: True
    ) -> E:
        """The first event of a kind that was not taken yet; waits for it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for index, event in enumerate(self.events):
                    if (
                        index not in self._taken
                        and isinstance(event, kind)
                        and matches(event)
                    ):
                        self._taken.add(index)
                        return event
                self._news.clear()
                await self._news.wait()

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def connect(
        self,
        call: str,
        leg: str,
        phone: Phone,
        *,
        latch: Latch = Latch.ADDRESS,
        direction: Direction = Direction.SENDRECV,
        telephone_event: int | None = None,
        ptime: int = 20,
    ) -> None:
        """Open and configure a leg for a phone."""
        phone.agent = await self.pool.open_leg(call, leg)
        # As call control does before it tells a peer something.
        phone.before_sending = self.pool.flush
        audio = phone.negotiated(
            direction=direction, telephone_event=telephone_event, ptime=ptime
        )
        self.pool.configure(leg, audio, latch=latch)

    async def settle(self) -> None:
        """Wait until the workers have done what was asked, and taken what was sent.

        A worker answers commands before it takes packets, so no answer proves that a
        packet was taken. The leg's socket does: the pool holds a duplicate of it.
        The answer to a command of later proves that the packet has been dealt with.
        """
        async with asyncio.timeout(PATIENCE):
            while self._untaken():
                await self._answers()
            await self._answers()

    async def _answers(self) -> None:
        legs = [leg.name for leg in self.pool._legs]
        for token in [self.pool.play(leg, ["no such sound"]) for leg in legs]:
            await self.event(PlayEnded, lambda e, token=token: e.token == token)

    def _untaken(self) -> bool:
        """Whether packets wait for a worker, or a leg is still in one that it left."""
        legs = [leg for leg in self.pool._legs if not leg.deaf]
        waiting = select.poll()
        for leg in legs:
            waiting.register(leg.ports.rtp, select.POLLIN)
            waiting.register(leg.ports.rtcp, select.POLLIN)
        return any(leg.left for leg in legs) or any(
            told & select.POLLIN for _, told in waiting.poll(0)
        )

    async def latch(self, leg: str, phone: Phone) -> list[bytes]:
        """Let a phone be heard; returns the two packets that took."""
        sent = [phone.say(audio_bytes(n)) for n in range(2)]
        await self.event(Latched, lambda event: event.leg == leg)
        return sent

    async def record(
        self, legs: tuple[str, ...], *, grant: bool = True, tapped: bool = True
    ) -> str:
        """Start a recording; returns its id once it has a journal, or is known of."""
        recording = new_id()
        self.begin(recording, legs, tapped=tapped)
        if grant:
            self.pool.grant_journal(recording)
            await self.event(RecordingOpened, lambda e: e.recording == recording)
        else:
            await self.settle()
        return recording

    def begin(
        self,
        recording: str,
        legs: tuple[str, ...],
        *,
        tapped: bool = True,
        since_ns: int = 0,
    ) -> None:
        """Tell the pool of a recording, which has no journal before it is granted."""
        self.pool.start_recording(
            recording,
            legs=legs,
            journal_key=KEY,
            key_id=b"8 bytes!",
            begin=b'{"type":"begin"}',
            tapped=(tapped,) * len(legs),
            since_ns=since_ns,
        )

    def journal(self, recording: str, epoch: int = 0) -> Journal:
        path = self.journals / f"{recording}.{epoch}.journal"
        return read_journal(path.read_bytes(), KEY)


@asynccontextmanager
async def site(
    directory: Path,
    *,
    ports: tuple[int, int],
    sounds: Sequence[Sound] = (),
    workers: int = 1,
    spares: int = 0,
    timeout_s: float = 60.0,
    drain: float = 0.05,
) -> AsyncIterator[Site]:
    """A running pool."""
    config = MediaConfig(
        ports=ports,
        workers=workers,
        spares=spares,
        timeout=timeout_s,
        drain=drain,
        fsync_interval=0.05,
    )
    running = Site(config, directory)
    try:
        await running.pool.start()
        for item in sounds:
            running.pool.add_sound(item)
        yield running
    finally:
        await running.pool.stop()


def note_kinds(notes: Sequence[bytes]) -> list[str]:
    """What the notes of a journal say, by type and kind."""
    texts = []
    for note in notes:
        fields = json.loads(note)
        texts.append(fields.get("kind") or fields.get("cause") or fields["type"])
    return texts
