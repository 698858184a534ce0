"""Two user agents on a wire, and a peer that says exactly what a test tells it to."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.session import Session
from agent.signalling.sip.uri import NameAddr, parse_name_addr, parse_uri
from tests.fakes.wire import Fate, Wire, perfect

ALICE = Address("192.0.2.1", 5060)
BOB = Address("192.0.2.2", 5060)
MALLORY = Address("203.0.113.66", 5060)
OFFER = b"v=0\r\ns=offer\r\n"
ANSWER = b"v=0\r\ns=answer\r\n"


@dataclass(eq=False)
class Phone:
    """One user agent with all its events; `on` may react to them."""

    wire: Wire
    address: Address
    core: UserAgentCore
    events: list[Any] = field(default_factory=list)
    on: Callable[[Any, float], None] | None = None

    def __post_init__(self) -> None:
        self.attach()

    def attach(self) -> None:
        """Have the core, which may be another one, hear what is sent to the address."""
        self.wire.attach(
            self.address, self.core, receive=self.core.receive, on_event=self._event
        )

    def _event(self, event: Any, now: float) -> None:
        self.events.append(event)
        if self.on is not None:
            self.on(event, now)

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def last(self) -> Any:
        return self.events[-1]

    @property
    def session(self) -> str:
        """The id of the only, or the latest, session it heard of."""
        return self.last.session

    @property
    def contact(self) -> Any:
        return parse_uri(f"sip:me@{self.address}")

    def find(self, id_: str) -> Session:
        found = self.core._sessions.get(id_)
        assert found is not None
        return found

    def call(self, to: Address, *, body: bytes = OFFER, **more: Any) -> str:
        target = parse_uri(f"sip:201@{to}")
        arguments = {
            "uri": target,
            "flow": self.wire.flow(self.address, to),
            "from_": NameAddr("Me", parse_uri("sip:me@example.com")),
            "to": NameAddr(None, target),
            "contact": self.contact,
            "body": body,
            "now": self.wire.now,
        }
        return self.core.invite(**(arguments | more))

    def answer(self, session: str, *, body: bytes = ANSWER, **more: Any) -> None:
        self.core.accept(
            session, self.wire.now, contact=self.contact, body=body, **more
        )

    def hang_up(self, session: str) -> None:
        self.core.hang_up(session, self.wire.now)


class Pair:
    """Alice calls Bob; `bob` may answer by himself."""

    def __init__(
        self,
        *,
        fate: Fate = perfect,
        alice: dict[str, Any] | None = None,
        bob: dict[str, Any] | None = None,
        answers: bool = True,
        seed: int = 1,
    ) -> None:
        self.wire = Wire(fate=fate)
        self.alice = Phone(self.wire, ALICE, new_core(seed, **(alice or {})))
        self.bob = Phone(self.wire, BOB, new_core(seed + 1, **(bob or {})))
        if answers:
            self.bob.on = self._answer

    def _answer(self, event: Any, now: float) -> None:
        if isinstance(event, sip.InviteReceived):
            self.bob.core.ring(event.session, now)
            self.bob.answer(event.session, body=ANSWER if event.request.body else OFFER)
        else:
            self.accept_offers(self.bob)(event, now)

    @staticmethod
    def accept_offers(phone: Phone) -> Callable[[Any, float], None]:
        """A reaction for `phone.on`."""

        def react(event: Any, now: float) -> None:
            if isinstance(event, sip.OfferReceived):
                body = OFFER if event.body is None else ANSWER
                phone.core.accept_offer(event.session, now, body=body)

        return react

    def establish(self) -> tuple[str, str]:
        """Alice's session and Bob's, with nothing open between them."""
        ours = self.alice.call(BOB)
        self.wire.run(self.wire.now + 0.4)
        theirs = next(
            event.session
            for event in self.bob.events
            if isinstance(event, sip.InviteReceived)
        )
        assert self.alice.names == ["Progressed", "Accepted"]
        assert self.bob.names == ["InviteReceived", "Acknowledged"]
        self.alice.events.clear()
        self.bob.events.clear()
        self.wire.log.clear()
        return ours, theirs

    def run(self, seconds: float) -> None:
        self.wire.run(self.wire.now + seconds)

    def is_clean(self) -> bool:
        """Whether nobody remembers anything of a session."""
        return all(
            len(phone.core) == 0
            and len(phone.core._sessions) == 0
            and not phone.core._user._owners
            for phone in (self.alice, self.bob)
        )


def new_core(seed: int, **more: Any) -> UserAgentCore:
    return UserAgentCore(rng=random.Random(seed), product=f"test/{seed}", **more)


@dataclass(eq=False)
class WireEnd(ABC):
    """Something at an address of a wire that has no timers and tells nothing."""

    wire: Wire
    address: Address
    outbox: list[tuple[bytes, Flow]] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        self.wire.attach(self.address, self, receive=self._receive)

    @abstractmethod
    def _receive(self, data: bytes, flow: Flow, now: float) -> None: ...

    def get_timer(self) -> None:
        return None

    def handle_timer(self, now: float) -> None:
        raise NotImplementedError

    def next_event(self) -> None:
        return None

    def data_to_send(self) -> list[tuple[bytes, Flow]]:
        outbox, self.outbox = self.outbox, []
        return outbox


@dataclass(eq=False)
class Peer(WireEnd):
    """A peer without a mind: it keeps what arrives, and sends what it is told to."""

    received: list[Request | Response] = field(default_factory=list)
    branches: int = 0

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        del flow, now
        self.received.append(parse_message(data))

    @property
    def names(self) -> list[str]:
        """`INVITE` of a request, `180` of a response."""
        return [
            message.method if isinstance(message, Request) else str(message.status)
            for message in self.received
        ]

    def take(self) -> list[str]:
        """The names of what arrived since the last time, and forget it."""
        names = self.names
        self.received.clear()
        return names

    def request(self, method: str) -> Request:
        """The latest request of that method that arrived."""
        return next(
            message
            for message in reversed(self.received)
            if isinstance(message, Request) and message.method == method
        )

    def response(self, status: int) -> Response:
        """The latest response of that status that arrived."""
        return next(
            message
            for message in reversed(self.received)
            if isinstance(message, Response) and message.status == status
        )

    def send(self, message: Request | Response | bytes, to: Address) -> None:
        """Send it and let it arrive."""
        data = message if isinstance(message, bytes) else message.to_bytes()
        self.outbox.append((data, self.wire.flow(self.address, to)))
        self.wire.run(self.wire.now)

    def respond(
        self,
        request: Request,
        status: int,
        to: Address,
        *,
        tag: str | None = "peer",
        contact: str | None = "",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer it; `contact` defaults to this peer, None leaves it out."""
        lines = list(headers)
        if contact is not None:
            lines.append(("Contact", f"<{contact or f'sip:peer@{self.address}'}>"))
        response = response_to(
            request,
            status,
            to_tag=tag,
            headers=lines,
            body=body,
            content_type="application/sdp" if body else None,
        )
        self.send(response, to)

    def new_request(
        self,
        method: str,
        *,
        cseq: int = 1,
        uri: str = "sip:201@192.0.2.2",
        from_: str = "<sip:peer@example.com>;tag=peer",
        to: str = "<sip:201@example.com>",
        call_id: str = "peer-call",
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        remove: Sequence[str] = (),
        branch: str | None = None,
    ) -> Request:
        self.branches += 1
        branch = branch or f"z9hG4bKpeer{self.branches}"
        lines = Headers(
            [
                ("Via", f"SIP/2.0/UDP {self.address};branch={branch};rport"),
                ("Max-Forwards", "70"),
                ("From", from_),
                ("To", to),
                ("Call-ID", call_id),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", f"<sip:peer@{self.address}>"),
            ]
        )
        if body:
            lines.add("Content-Type", "application/sdp")
        for name, value in headers:
            lines.set(name, value)
        for name in remove:
            lines.remove(name)
        return Request(method, parse_uri(uri), lines, body)

    def in_dialog(
        self, method: str, beginning: Request | Response, *, cseq: int, **more: Any
    ) -> Request:
        """A request in the dialog of an INVITE that arrived, or of a 1xx or 2xx."""
        headers = beginning.headers
        if isinstance(beginning, Request):
            ours = parse_name_addr(headers.get("To") or "").with_tag("peer")
            arguments = {"from_": str(ours), "to": headers.get("From")}
        else:
            arguments = {"from_": headers.get("From"), "to": headers.get("To")}
        arguments["call_id"] = beginning.call_id
        return self.new_request(method, cseq=cseq, **(arguments | more))


def called_by_peer(**options: Any) -> tuple[Phone, Peer]:
    """Bob, whom the peer is going to call."""
    wire = Wire()
    bob = Phone(wire, BOB, new_core(2, **options))
    return bob, Peer(wire, ALICE)


def calling_peer(
    *, body: bytes = OFFER, **options: Any
) -> tuple[Phone, Peer, str, Request]:
    """Alice with her session, and the peer with the INVITE that she has sent."""
    wire = Wire()
    alice = Phone(wire, ALICE, new_core(1, **options))
    peer = Peer(wire, BOB)
    session = alice.call(BOB, body=body)
    wire.run(0.0)
    return alice, peer, session, peer.request("INVITE")


def confirmed_with_peer(**options: Any) -> tuple[Phone, Peer, str, Request]:
    """Alice in a call with the peer, whose tag is `peer`; and her INVITE."""
    alice, peer, session, invite = calling_peer(**options)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["INVITE", "ACK"]
    alice.events.clear()
    return alice, peer, session, invite


def answered_peer(
    *, body: bytes = OFFER, **options: Any
) -> tuple[Phone, Peer, str, Response]:
    """Bob, who answered the peer's INVITE of CSeq 1, unacknowledged; his 200."""
    bob, peer = called_by_peer(**options)
    peer.send(peer.new_request("INVITE", body=body), BOB)
    bob.answer(bob.session, body=ANSWER if body else OFFER)
    bob.wire.run(bob.wire.now)
    response = peer.response(200)
    session = bob.session
    bob.events.clear()
    peer.received.clear()
    return bob, peer, session, response
