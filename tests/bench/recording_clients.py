"""A load of recording sessions: SIP and RTP of all their clients, in one loop.

One SIP user agent begins them; each stream has an RTP socket of its own, and only
sends. Every frame's payload tells session, stream and index, as `load` has it, so that
what was recorded can be compared with what was sent. Of two streams the first is of the
customer, the second of the officer.
"""

import random
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass

from agent.formats.rtp.srtp import SendContext
from agent.model.media import Address, SrtpSuite
from agent.signalling.crypto_attribute import CryptoAttribute
from agent.signalling.sdp import parse_sdp
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.bench.ends import End, StreamEnd, UdpEnd
from tests.bench.load import FRAME, MAGIC, PERIOD
from tests.lab.certificates import Certificate

_HEAD = struct.Struct(">BBHIIIBI")
"An RTP header, and the mark before the filling of a frame."
_FILL = [bytes([value]) * (FRAME - 9) for value in range(256)]
_BOUNDARY = "edge"
_SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80


@dataclass(slots=True)
class Stream:
    """One side of a session's call."""

    session: int
    side: int
    "0 the customer, 1 the officer."
    sock: socket.socket
    phase: float
    "When in each 20 ms it sends."
    ssrc: int
    sequence: int
    timestamp: int
    key: bytes
    protection: SendContext | None
    sent: int = 0
    over: bool = False
    refused: int = 0
    "Frames that our own machine did not take."


@dataclass(slots=True)
class Recorded:
    """One recording session of the load."""

    number: int
    legs: tuple[Stream, ...]
    begun: float
    answered: float = 0.0
    ended: bool = False
    failed: str = ""
    first_of_officer: int = 0
    "Both sides are recorded from the first frame on."


class Clients:
    """Begins recording sessions at one agent, sends their audio, and ends them."""

    def __init__(
        self,
        *,
        agent: Address,
        own: Address,
        rate: float,
        sessions: int,
        talk: float,
        certificate: Certificate | None = None,
        officer: str = "201",
        seed: int = 1000,
    ) -> None:
        """With a certificate its SIP goes over TLS, and its media are SRTP."""
        self._agent = agent
        self._own = own
        self._rate = rate
        self._total = sessions
        self._talk = talk
        self._officer = officer
        self._rng = random.Random(seed)
        self._epoll = select.epoll()
        self._secure = certificate is not None
        self._end: End = (
            UdpEnd(own, self._epoll)
            if certificate is None
            else StreamEnd(own, self._epoll, client=certificate.client())
        )
        self._core = UserAgentCore(
            rng=random.Random(self._rng.getrandbits(64)), product="load"
        )
        self._by_session: dict[str, Recorded] = {}
        self._sending: list[Stream] = []
        "Sorted by phase."
        self._hang_ups: deque[tuple[float, Recorded]] = deque()
        self.sessions: list[Recorded] = []
        self.sent = 0
        self.max_late = 0.0
        "How late the generator itself was with a frame, in seconds."

    # -- the loop -----------------------------------------------------------------

    def run(self, *, limit: float) -> None:
        """Begin every session and wait until the last is over; at most `limit` s."""
        start = now = time.monotonic()
        turn, index = start, 0
        while now < start + limit:
            if len(self.sessions) == self._total and all(
                one.ended for one in self.sessions
            ):
                return
            while (
                len(self.sessions) < self._total
                and now >= start + len(self.sessions) / self._rate
            ):
                self._begin(len(self.sessions), now)
            while self._hang_ups and self._hang_ups[0][0] <= now:
                self._hang_up(self._hang_ups.popleft()[1], now)
            sending = self._sending
            while index < len(sending) and turn + sending[index].phase <= now:
                self._send(sending[index], now - turn - sending[index].phase)
                index += 1
            if index >= len(sending) and now >= turn + PERIOD:
                turn, index = turn + PERIOD, 0
                self._sending = self._due(turn)
            self._serve(now)
            now = time.monotonic()

    def close(self) -> None:
        self._end.close()
        for one in self.sessions:
            for leg in one.legs:
                leg.sock.close()
        self._epoll.close()

    def _due(self, turn: float) -> list[Stream]:
        """The streams that send in the 20 ms from `turn` on, in their order.

        None begins in a turn that is before its answer: a generator that is late
        would have it speak faster than anybody does.
        """
        talking = (one for one in self._by_session.values() if one.answered)
        streams = (s for one in talking if one.answered <= turn for s in one.legs)
        return sorted(streams, key=lambda stream: stream.phase)

    def _serve(self, now: float) -> None:
        """Whatever SIP is due; waits for it for a moment."""
        for fd, _ in self._epoll.poll(0.0005):
            for data, flow in self._end.receive(fd) or ():
                self._core.receive(data, flow, time.monotonic())
        timer = self._core.get_timer()
        if timer is not None and timer <= now:
            self._core.handle_timer(now)
        self._flush()

    def _flush(self) -> None:
        while (event := self._core.next_event()) is not None:
            self._take(event)
        for data, flow in self._core.data_to_send():
            self._end.send(data, flow)

    def _send(self, stream: Stream, late: float) -> None:
        if stream.over:
            return
        self.max_late = max(self.max_late, late)
        index = stream.sent
        packet = (
            _HEAD.pack(
                0x80,
                8 | (0x80 if index == 0 else 0),
                (stream.sequence + index) & 0xFFFF,
                (stream.timestamp + index * FRAME) & 0xFFFFFFFF,
                stream.ssrc,
                MAGIC,
                stream.side,
                (stream.session << 16 | index) & 0xFFFFFFFF,
            )
            + _FILL[(stream.session * 7 + stream.side * 31 + index) & 0xFF]
        )
        if stream.protection is not None:
            packet = stream.protection.protect(packet)
        try:
            stream.sock.send(packet)
        except (BlockingIOError, ConnectionError):
            stream.refused += 1
            return
        stream.sent = index + 1
        self.sent += 1

    # -- SIP ------------------------------------------------------------------------

    def _begin(self, number: int, now: float) -> None:
        legs = tuple(self._stream(number, side) for side in (0, 1))
        one = Recorded(number, legs, now)
        self.sessions.append(one)
        target = parse_uri(f"sip:srs@{self._agent}{self._end.params}")
        session = self._core.invite(
            uri=target,
            flow=Flow(self._end.transport, self._own, self._agent),
            from_=NameAddr(None, parse_uri(f"sip:src@{self._own}")),
            to=NameAddr(None, target),
            contact=parse_uri(f"sip:src@{self._own}{self._end.params}"),
            headers=(("Require", "siprec"),),
            body=self._body(one),
            content_type=f"multipart/mixed;boundary={_BOUNDARY}",
            now=now,
        )
        self._by_session[session] = one
        self._flush()

    def _stream(self, number: int, side: int) -> Stream:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((self._own.host, 0))
        sock.setblocking(False)
        key = self._rng.randbytes(_SUITE.key_size)
        return Stream(
            session=number,
            side=side,
            sock=sock,
            phase=self._rng.random() * PERIOD,
            ssrc=self._rng.getrandbits(32),
            sequence=self._rng.getrandbits(15),
            timestamp=self._rng.getrandbits(31),
            key=key,
            protection=SendContext(_SUITE, key) if self._secure else None,
        )

    def _body(self, one: Recorded) -> bytes:
        lines = ["v=0", f"o=src {one.number} 1 IN IP4 {self._own.host}", "s=-"]
        lines += [f"c=IN IP4 {self._own.host}", "t=0 0"]
        for leg in one.legs:
            port = leg.sock.getsockname()[1]
            profile = "RTP/SAVP" if self._secure else "RTP/AVP"
            lines += [f"m=audio {port} {profile} 8", "a=sendonly"]
            lines.append(f"a=label:{leg.side}")
            if self._secure:
                crypto = CryptoAttribute("1", _SUITE, leg.key)
                lines.append(f"a=crypto:{crypto.to_value()}")
        description = "\r\n".join([*lines, ""])
        metadata = metadata_of(one.number, officer=self._officer)
        return (
            f"--{_BOUNDARY}\r\nContent-Type: application/sdp\r\n\r\n{description}"
            f"\r\n--{_BOUNDARY}\r\nContent-Type: application/rs-metadata+xml\r\n"
            f"Content-Disposition: recording-session\r\n\r\n{metadata}"
            f"\r\n--{_BOUNDARY}--\r\n"
        ).encode()

    def _take(self, event: sip.Event) -> None:
        now = time.monotonic()
        one = self._by_session.get(event.session)
        if one is None:
            return
        match event:
            case sip.Accepted():
                media = parse_sdp(event.response.body).media
                ports = [found.port for found in media]
                if len(ports) != len(one.legs) or not all(ports):
                    one.failed = f"ports {ports}"
                for leg, port in zip(one.legs, ports, strict=False):
                    leg.sock.connect((self._agent.host, port))
                one.answered = now
                self._hang_ups.append((now + self._talk, one))
            case sip.Refused():
                one.failed = f"refused {event.status}"
                self._over(event.session, one)
            case sip.Ended():
                if event.reason is not sip.EndReason.LOCAL:
                    one.failed = f"ended: {event.reason}"
                self._over(event.session, one)

    def _over(self, session: str, one: Recorded) -> None:
        one.ended = True
        del self._by_session[session]

    def _hang_up(self, one: Recorded, now: float) -> None:
        for leg in one.legs:
            leg.over = True
        for session, found in self._by_session.items():
            if found is one:
                self._core.hang_up(session, now)
                break
        self._flush()


def caller_of(number: int) -> str:
    """The customer's number in the session of that number."""
    return f"+3584{number:08d}"


def metadata_of(number: int, *, officer: str) -> str:
    """Who is heard on which stream: the smallest document that says so (RFC 7865)."""

    def uuid(kind: int) -> str:
        # base64 of 16 octets: four that tell apart, twelve that do not.
        return f"{kind:02d}{number:06d}" + "A" * 14 + "=="

    people = (f"sip:{caller_of(number)}@pbx.example", f"sip:{officer}@pbx.example")
    parts = [
        '<recording xmlns="urn:ietf:params:xml:ns:recording:1">',
        "<datamode>complete</datamode>",
        f'<group group_id="{uuid(1)}"/>',
        f'<session session_id="{uuid(2)}"><group-ref>{uuid(1)}</group-ref></session>',
    ]
    for side, aor in enumerate(people):
        who, what = uuid(3 + side), uuid(5 + side)
        other = uuid(6 - side)
        parts += [
            f'<participant participant_id="{who}"><nameID aor="{aor}"/></participant>',
            f'<stream stream_id="{what}" session_id="{uuid(2)}">'
            f"<label>{side}</label></stream>",
            f'<participantsessionassoc participant_id="{who}" session_id="{uuid(2)}"/>',
            f'<participantstreamassoc participant_id="{who}">'
            f"<send>{what}</send><recv>{other}</recv></participantstreamassoc>",
        ]
    return "".join([*parts, "</recording>"])
