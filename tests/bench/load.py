"""A load of whole calls: both phones of every call, SIP and RTP, in one epoll loop.

Callers are one SIP user agent, officers another; each leg has an RTP socket of its
own. Every frame's payload tells call, leg and index, so that what arrives, and what
was recorded, can be compared with what was sent. Arrivals are spread by 0.1 ms: a
load that ticks on one millisecond flatters event loops.
"""

import functools
import heapq
import itertools
import random
import select
import socket
import struct
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.model.media import PCMA, PCMU, Address, SrtpPolicy
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.bench.ends import End, UdpEnd

FRAME = 160
PERIOD = 0.02
_RTP = struct.Struct(">BBHII")
_MARK = struct.Struct(">IBI")
MAGIC = 0x5A5A5A5A
ALONE = 3.0
"Seconds after which an officer hangs up too, if nobody has told them of the end."


def payload(call: int, leg: int, index: int) -> bytes:
    """The 160 bytes that leg `leg` of call `call` sends as frame `index`."""
    head = _MARK.pack(MAGIC, leg, (call << 16 | index) & 0xFFFFFFFF)
    return head + bytes([(call * 7 + leg * 31 + index) & 0xFF]) * (FRAME - len(head))


@dataclass(slots=True)
class Leg:
    """One phone's half of one call."""

    call: int
    side: int
    "0 the caller, 1 the officer."
    sock: socket.socket
    negotiation: OfferAnswer
    session: str = ""
    remote: tuple[str, int] | None = None
    payload_type: int = 8
    sequence: int = 0
    timestamp: int = 0
    ssrc: int = 0
    sent: int = 0
    sending: bool = False
    sent_at: "array[float]" = field(default_factory=lambda: array("d"))
    late: set[int] = field(default_factory=set)
    "Frames that went a frame or more after their turn: the machine was busy."
    received: int = 0
    got_frames: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Call:
    """One call of the load."""

    number: int
    legs: tuple[Leg, Leg]
    begun: float
    answered: float = 0.0
    talked: float = 0.0
    hung_up: float = 0.0
    until: tuple[int, int] = (0, 0)
    "Frames that its legs had sent when it was hung up."
    ended: bool = False
    failed: str = ""
    first_of_officer: int = 0
    "Index of the caller's first frame sent after the officer's answer."
    since: tuple[int, int] = (0, 0)
    "Frames that its legs had sent when both had heard each other, or nobody yet."


class Load:
    """Places calls through one agent and carries their audio."""

    def __init__(
        self,
        *,
        agent: Address,
        caller: Address,
        officer: Address,
        service: str,
        rate: float,
        calls: int,
        talk: float,
        rtp_base: int = 50000,
        keep_delays: bool = True,
        ends: Callable[[Address, select.epoll], End] = UdpEnd,
        seed: int = 1,
    ) -> None:
        """`ends` makes the SIP end of each side, at its address.

        A load that follows another within 32 s at the same addresses needs another
        `seed`: else its requests have the names of those before, and are absorbed.
        """
        self._agent = agent
        self._service = service
        self._rate = rate
        self._total = calls
        self._talk = talk
        self._ports = itertools.cycle(range(rtp_base, 65000, 2))
        self._keep = keep_delays
        self._rng = random.Random(seed)
        self._epoll = select.epoll()
        self._cores = tuple(
            UserAgentCore(
                rng=random.Random(self._rng.getrandbits(64)),
                timers=DEFAULT_TIMERS,
                product="load",
            )
            for _ in range(2)
        )
        self._ends = tuple(ends(address, self._epoll) for address in (caller, officer))
        self._control: list[socket.socket] = []
        self._by_fd: dict[int, Leg] = {}
        self._by_session: tuple[dict[str, Call], dict[str, Call]] = ({}, {})
        self._waiting: dict[str, Call] = {}
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = itertools.count()
        self.calls: list[Call] = []
        self.delays = array("d")
        self.control = array("d")
        "Delays of frames that go from this process to itself, past the agent."
        self.max_late = 0.0
        "How late the generator itself was with a frame, in seconds."
        self.rtp_sent = 0
        self.rtp_received = 0

    # -- the loop -----------------------------------------------------------------

    def run(self, *, limit: float) -> None:
        """Place every call and wait until the last is over; at most `limit` s."""
        start = time.monotonic()
        for number in range(self._total):
            at = start + number / self._rate
            self._at(at, lambda now, number=number: self._begin(number, now))
        while (now := time.monotonic()) < start + limit:
            if len(self.calls) == self._total and all(c.ended for c in self.calls):
                break
            deadlines = [t for c in self._cores if (t := c.get_timer()) is not None]
            if self._timers:
                deadlines.append(self._timers[0][0])
            wait = max(0.0, min(deadlines, default=now + 0.1) - now)
            for fd, _ in self._epoll.poll(wait):
                leg = self._by_fd.get(fd)
                if leg is not None:
                    self._receive(leg)
                elif not (self._receive_sip(0, fd) or self._receive_sip(1, fd)):
                    self._receive_control(fd)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                at, _, act = heapq.heappop(self._timers)
                act(at)
            for side, core in enumerate(self._cores):
                timer = core.get_timer()
                if timer is not None and timer <= now:
                    core.handle_timer(now)
                    self._flush(side)

    def add_calls(self, count: int) -> None:
        """Place so many more, at once."""
        now = time.monotonic()
        for number in range(self._total, self._total + count):
            self._at(now, lambda now, number=number: self._begin(number, now))
        self._total += count

    def add_control(self, streams: int) -> None:
        """Send frames to ourselves beside the calls: what the machine itself adds."""
        for _ in range(streams):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            self._control.append(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
            at = time.monotonic() + self._rng.randrange(200) * 0.0001
            self._at(at, functools.partial(self._send_control, sock))

    def _send_control(self, sock: socket.socket, at: float) -> None:
        stamp = struct.pack(">d", time.monotonic())
        sock.sendto(stamp + bytes(172 - len(stamp)), sock.getsockname())
        self._at(at + PERIOD, functools.partial(self._send_control, sock))

    def _receive_control(self, fd: int) -> None:
        sock = next((s for s in self._control if s.fileno() == fd), None)
        if sock is None:
            return  # a leg that an earlier event of this round has closed
        [sent] = struct.unpack_from(">d", sock.recv(2048))
        self.control.append(time.monotonic() - sent)

    def close(self) -> None:
        for end in self._ends:
            end.close()
        for sock in self._control:
            sock.close()
        for leg in list(self._by_fd.values()):
            leg.sock.close()
        self._epoll.close()

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._count), act))

    # -- SIP ------------------------------------------------------------------------

    def _leg(self, call: int, side: int) -> Leg:
        while True:
            port = next(self._ports)
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.bind(("127.0.0.1", port))
                break
            except OSError:
                sock.close()
        sock.setblocking(False)
        leg = Leg(
            call=call,
            side=side,
            sock=sock,
            negotiation=OfferAnswer(
                address=Address("127.0.0.1", port),
                session_id=self._rng.getrandbits(31),
                codecs=(PCMA, PCMU),
                # Also over TLS: what is carried is compared, sample by sample.
                srtp=SrtpPolicy.NEVER,
            ),
            sequence=self._rng.getrandbits(15),
            timestamp=self._rng.getrandbits(31),
            ssrc=self._rng.getrandbits(32),
        )
        self._by_fd[sock.fileno()] = leg
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        return leg

    def _begin(self, number: int, now: float) -> None:
        call = Call(number, (self._leg(number, 0), self._leg(number, 1)), now)
        self.calls.append(call)
        user = f"04{number:08d}"
        self._waiting[user] = call
        end = self._ends[0]
        target = parse_uri(f"sip:{self._service}@{self._agent}{end.params}")
        leg = call.legs[0]
        leg.session = self._cores[0].invite(
            uri=target,
            flow=Flow(end.transport, end.address, self._agent),
            from_=NameAddr(None, parse_uri(f"sip:{user}@{end.address}"), ()),
            to=NameAddr(None, target, ()),
            contact=parse_uri(f"sip:{user}@{end.address}{end.params}"),
            body=leg.negotiation.offer(),
            now=time.monotonic(),
        )
        self._by_session[0][leg.session] = call
        self._flush(0)

    def _receive_sip(self, side: int, fd: int) -> bool:
        """Take what has come to a socket of that side; False if it is none."""
        received = self._ends[side].receive(fd)
        if received is None:
            return False
        for data, flow in received:
            self._cores[side].receive(data, flow, time.monotonic())
        self._flush(side)
        return True

    def _flush(self, side: int) -> None:
        core = self._cores[side]
        while (event := core.next_event()) is not None:
            self._on_sip(side, event)
        for data, flow in core.data_to_send():
            self._ends[side].send(data, flow)

    def _on_sip(self, side: int, event: sip.Event) -> None:
        now = time.monotonic()
        core = self._cores[side]
        if isinstance(event, sip.InviteReceived):
            call = self._waiting.pop(event.request.from_.uri.user or "", None)
            if call is None or side == 0:
                core.refuse(event.session, now, status=404)
                return
            leg = call.legs[1]
            leg.session = event.session
            self._by_session[1][event.session] = call
            answer, audio = leg.negotiation.answer(event.request.body)
            leg.remote = (audio.remote.host, audio.remote.port)
            core.ring(event.session, now)
            core.accept(
                event.session,
                now,
                contact=parse_uri(
                    f"sip:201@{self._ends[1].address}{self._ends[1].params}"
                ),
                body=answer,
            )
            call.talked = now
            call.first_of_officer = call.legs[0].sent
            call.since = call.first_of_officer, 0
            self._start_rtp(leg, now)
            self._at(now + self._talk, lambda at: self._hang_up(call, at))
            return
        call = self._by_session[side].get(event.session)
        if call is None:
            return
        leg = call.legs[side]
        match event:
            case sip.Accepted():
                audio = leg.negotiation.receive_answer(event.response.body)
                leg.remote = (audio.remote.host, audio.remote.port)
                call.answered = now
                self._start_rtp(leg, now)
            case sip.Refused():
                call.failed = f"refused {event.status}"
                self._end(call)
            case sip.Ended():
                self._stop_rtp(leg)
                if all(not x.sending for x in call.legs):
                    self._end(call)

    def _hang_up(self, call: Call, now: float) -> None:
        leg = call.legs[0]
        call.hung_up = time.monotonic()
        call.until = call.legs[0].sent, call.legs[1].sent
        self._stop_rtp(leg)
        self._cores[0].hang_up(leg.session, call.hung_up, headers=())
        self._flush(0)
        self._at(now + ALONE, lambda _: self._leave(call))

    def _leave(self, call: Call) -> None:
        """The officer hears nobody any more: an agent that died has not said so."""
        leg = call.legs[1]
        if not call.ended and leg.sending:
            self._stop_rtp(leg)
            self._cores[1].hang_up(leg.session, time.monotonic(), headers=())
            self._flush(1)

    def _end(self, call: Call) -> None:
        if call.ended:
            return
        call.ended = True
        for side, leg in enumerate(call.legs):
            self._by_session[side].pop(leg.session, None)
            self._by_fd.pop(leg.sock.fileno(), None)
            self._epoll.unregister(leg.sock.fileno())
            leg.sock.close()

    # -- RTP ------------------------------------------------------------------------

    def _start_rtp(self, leg: Leg, now: float) -> None:
        leg.sending = True
        spread = self._rng.randrange(200) * 0.0001
        self._at(now + spread, lambda at: self._send(leg, at))

    def _stop_rtp(self, leg: Leg) -> None:
        leg.sending = False

    def _send(self, leg: Leg, at: float) -> None:
        if not leg.sending or leg.remote is None:
            return
        now = time.monotonic()
        self.max_late = max(self.max_late, now - at)
        index = leg.sent
        packet = _RTP.pack(
            0x80,
            leg.payload_type | (0x80 if index == 0 else 0),
            (leg.sequence + index) & 0xFFFF,
            (leg.timestamp + index * FRAME) & 0xFFFFFFFF,
            leg.ssrc,
        ) + payload(leg.call, leg.side, index)
        try:
            leg.sock.sendto(packet, leg.remote)
        except (BlockingIOError, ConnectionError):
            return
        leg.sent = index + 1
        if now - at > PERIOD:
            leg.late.add(index)
        if self._keep:
            leg.sent_at.append(now)
        self.rtp_sent += 1
        heapq.heappush(
            self._timers,
            (at + PERIOD, next(self._count), lambda at: self._send(leg, at)),
        )

    def _first_heard(self, call: Call, leg: Leg) -> None:
        if call.legs[1 - leg.side].got_frames:
            call.since = call.legs[0].sent, call.legs[1].sent

    def _receive(self, leg: Leg) -> None:
        now = time.monotonic()
        while True:
            try:
                data = leg.sock.recv(2048)
            except (BlockingIOError, ConnectionError):
                return
            leg.received += 1
            self.rtp_received += 1
            if len(data) != 12 + FRAME:
                continue
            magic, side, mark = _MARK.unpack_from(data, 12)
            if magic != MAGIC or side == leg.side:
                continue
            index = mark & 0xFFFF
            if not leg.got_frames:
                self._first_heard(self.calls[leg.call], leg)
            leg.got_frames.add(index)
            if self._keep:
                other = self.calls[leg.call].legs[side]
                self.delays.append(now - other.sent_at[index])
