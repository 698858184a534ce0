"""A telephone of our own, for the demo and test calls: one at a time, real RTP.

It stands on the same SIP core as the daemon but shares nothing with it at run time:
two of them and the daemon meet on the network only.
"""

import asyncio
import os
import random
import socket
from dataclasses import dataclass, field
from typing import Final

from agent.common.clock import monotonic_ns
from agent.common.tasks import TaskSet
from agent.formats.rtp.packet import RtpError, RtpPacket, parse_rtp
from agent.model.media import PCMA, PCMU, Address, Codec, NegotiatedAudio
from agent.signalling.config import Listener
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, Uri, parse_uri
from agent.signalling.useragent import UserAgent

FRAME: Final = 160
"Octets of 20 ms, in codecs of one octet per tick of 8000 Hz."
_FRAMES_PER_SECOND: Final = 50
_RTCP_TYPES: Final = range(192, 224)
"Second octet of RTCP where it shares RTP's port (RFC 5761 section 4)."
_SILENCE: Final = {"PCMA": b"\xd5" * FRAME, "PCMU": b"\xff" * FRAME}


@dataclass(slots=True)
class Heard:
    """One RTP packet a phone received."""

    arrival_ns: int
    packet: RtpPacket


@dataclass(slots=True)
class Phone:
    """A phone at `address`, RTP at `rtp_port`; answers by itself if told to."""

    address: Address
    rtp_port: int
    user: str
    answer_after: float | None = None
    "Seconds it rings before it answers; None: it does not answer."
    codecs: tuple[Codec, ...] = (PCMA, PCMU)
    "In the order of its preference."
    speech: dict[str, bytes | tuple[bytes, ...]] = field(
        default_factory=dict, repr=False
    )
    "Encoded audio by codec, or its packets, spoken once when `speak` is called."
    silence: dict[str, bytes] = field(default_factory=_SILENCE.copy, repr=False)
    "A frame of it by codec."
    heard: list[Heard] = field(default_factory=list, repr=False)
    said_ns: list[int] = field(default_factory=list, repr=False)
    "When each frame since `speak` was sent, on CLOCK_MONOTONIC."
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    audio: NegotiatedAudio | None = None
    status: int = 0
    "Final status of its own call."
    connected_ns: int = 0
    ended_ns: int = 0
    _agent: UserAgent | None = None
    _session: str = ""
    _negotiation: OfferAnswer | None = None
    _tasks: TaskSet | None = None
    _rtp: socket.socket | None = None
    _spoken: int | None = None
    "Frames of the speech that were said."

    async def start(self) -> None:
        """Open its sockets."""
        core = UserAgentCore(
            rng=random.Random(os.urandom(8)),  # noqa: S311 - ids of a test phone
            timers=DEFAULT_TIMERS,
            product="demo-phone",
        )
        self._agent = self._over_network(core)
        await self._agent.start()
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp.setblocking(False)  # noqa: FBT003 - the socket module's signature
        self._rtp.bind((self.address.host, self.rtp_port))
        asyncio.get_running_loop().add_reader(self._rtp.fileno(), self._receive)
        self._tasks = TaskSet(self._failed)

    async def close(self) -> None:
        """Close its sockets."""
        if self._tasks is not None:
            await self._tasks.close()
        if self._rtp is not None:
            asyncio.get_running_loop().remove_reader(self._rtp.fileno())
            self._rtp.close()
        if self._agent is not None:
            self._agent.close()

    async def call(self, uri: str) -> None:
        """Ring `uri`; `connected` or `ended` will say what came of it."""
        target = parse_uri(uri)
        agent = self._user_agent
        flow = (await agent.flows_to(target))[0]
        self._negotiation = self._new_negotiation()
        self._session = agent.core.invite(
            uri=target,
            flow=flow,
            from_=NameAddr(None, self._contact, ()),
            to=NameAddr(None, target, ()),
            contact=self._contact,
            body=self._offer(self._negotiation),
            now=agent.now,
        )
        agent.flush()

    def speak(self) -> None:
        """Begin the speech with the next frame."""
        self._spoken = 0

    def hang_up(self) -> None:
        """End the call."""
        self._user_agent.core.hang_up(self._session, self._user_agent.now, headers=())
        self._user_agent.flush()
        self._over()

    @property
    def _user_agent(self) -> UserAgent:
        if self._agent is None:
            raise RuntimeError("the phone is not started")
        return self._agent

    # -- what a phone of another kind does otherwise --------------------------

    @property
    def _contact(self) -> Uri:
        return parse_uri(f"sip:{self.user}@{self.address}")

    def _over_network(self, core: UserAgentCore) -> UserAgent:
        return UserAgent(core, [Listener("udp", self.address)], self._on_sip)

    def _offer(self, negotiation: OfferAnswer) -> bytes:
        return negotiation.offer()

    def _seal(self, packet: bytes) -> bytes:
        """A packet as it goes over the wire."""
        return packet

    def _unseal(self, data: bytes) -> bytes:
        """The packet in what came over the wire; nothing if there is none."""
        return data

    def _new_negotiation(self) -> OfferAnswer:
        return OfferAnswer(
            address=Address(self.address.host, self.rtp_port),
            session_id=random.getrandbits(31),
            codecs=self.codecs,
        )

    # -- signalling -----------------------------------------------------------

    def _on_sip(self, event: sip.Event) -> None:
        core, now = self._user_agent.core, self._user_agent.now
        match event:
            case sip.InviteReceived():
                self._session = event.session
                self._negotiation = self._new_negotiation()
                answer, self.audio = self._negotiation.answer(event.request.body)
                core.ring(event.session, now)
                if self.answer_after is not None and self._tasks is not None:
                    self._tasks.spawn(self._answer(answer), name="answer")
            case sip.Accepted() if self._negotiation is not None:
                self.audio = self._negotiation.receive_answer(event.response.body)
                self._talk()
            case sip.Acknowledged():
                self._talk()
            case sip.Refused():
                self.status = event.status
                self._over()
            case sip.OfferReceived(body=bytes(body)) if self._negotiation is not None:
                answer, self.audio = self._negotiation.answer(body)
                core.accept_offer(event.session, now, body=answer)
            case sip.Ended() | sip.Cancelled():
                self._over()
            case _:
                pass

    async def _answer(self, answer: bytes) -> None:
        await asyncio.sleep(self.answer_after or 0.0)
        agent = self._user_agent
        agent.core.accept(
            self._session,
            agent.now,
            contact=self._contact,
            body=answer,
        )
        agent.flush()

    def _over(self) -> None:
        if not self.ended.is_set():
            self.ended_ns = monotonic_ns()
            self.ended.set()

    def _talk(self) -> None:
        if self._tasks is not None and not self.connected.is_set():
            self.connected_ns = monotonic_ns()
            self.connected.set()
            self._tasks.spawn(self._send_audio(), name="speak")

    # -- media ----------------------------------------------------------------

    async def _send_audio(self) -> None:
        """Send 20 ms frames by the loop's clock until the call is over."""
        loop = asyncio.get_running_loop()
        sequence, timestamp = random.getrandbits(15), random.getrandbits(31)
        ssrc, clock_rate = random.getrandbits(32), 0
        start = loop.time()
        index = 0
        while not self.ended.is_set() and self.audio is not None:
            audio = self.audio
            if audio.codec.clock_rate != clock_rate:
                ssrc, clock_rate = random.getrandbits(32), audio.codec.clock_rate
            packet = RtpPacket(
                payload_type=audio.codec.payload_type,
                marker=index == 0,
                sequence_number=(sequence + index) & 0xFFFF,
                timestamp=(timestamp + index * clock_rate // _FRAMES_PER_SECOND)
                & 0xFFFFFFFF,
                ssrc=ssrc,
                payload=self._next_frame(audio.codec.name),
            )
            if self._rtp is not None and audio.direction.sends:
                remote = (audio.remote.host, audio.remote.port)
                self._rtp.sendto(self._seal(packet.to_bytes()), remote)
            index += 1
            await asyncio.sleep(max(0.0, start + index * 0.02 - loop.time()))

    def _next_frame(self, codec: str) -> bytes:
        """What it says in the next 20 ms."""
        silence = self.silence[codec]
        if self._spoken is None:
            return silence
        at, self._spoken = self._spoken, self._spoken + 1
        self.said_ns.append(monotonic_ns())
        speech = self.speech.get(codec, b"")
        if isinstance(speech, tuple):
            return speech[at] if at < len(speech) else silence
        frame = speech[at * FRAME : (at + 1) * FRAME]
        return frame + silence[len(frame) :]

    def _receive(self) -> None:
        if self._rtp is None:
            return
        while True:
            try:
                data = self._rtp.recv(2048)
            except (BlockingIOError, ConnectionError):
                return
            if len(data) > 1 and data[1] in _RTCP_TYPES:
                continue
            try:
                packet = parse_rtp(self._unseal(data))
            except RtpError:
                continue
            self.heard.append(Heard(monotonic_ns(), packet))

    def _failed(self, name: str, error: BaseException) -> None:
        self._over()
        raise RuntimeError(f"the phone's task {name} failed") from error
