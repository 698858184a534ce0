"""A telephone or a trunk of a site: a real user agent core behind a switch."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from agent.model.media import PCMA, PCMU, Address, Codec, Direction, SrtpPolicy
from agent.signalling.config import Listener
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.uri import NameAddr, parse_uri
from agent.signalling.useragent import UserAgent
from tests.call.switch import Switch
from tests.patience import PATIENCE

AGENT = Address("192.0.2.1", 5060)
TRUNK = Address("192.0.2.10", 5060)
OFFICER = Address("192.0.2.20", 5060)
SECOND = Address("192.0.2.21", 5060)
THIRD = Address("192.0.2.22", 5060)
STRANGER = Address("203.0.113.66", 5060)
SERVICE = "0295000000"
CALLER = "0401234567"


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Let the loop run until it is true; not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what or condition}")
        await asyncio.sleep(0)


class Party:
    """A telephone or a trunk: one real user agent core."""

    def __init__(
        self,
        switch: Switch,
        address: Address,
        user: str,
        *,
        supported: tuple[str, ...] = (),
    ) -> None:
        self.address = address
        self.user = user
        self.switch = switch
        self.srtp = SrtpPolicy.OFFER
        self.events: list[Any] = []
        self.answers = True
        self.codecs: tuple[Codec, ...] = (PCMA, PCMU)
        self.early = False
        self.refuses = 0
        "A status to refuse calls with."
        self.redirects = ""
        "What the Contact of that refusal says."
        self.refuses_offers = 0
        self.holds_back = False
        "Leaves offers in a call unanswered until `accept_change`."
        self.answer_body: bytes | None = None
        "Answers calls with these words instead of its own."
        self.session = ""
        self.notified: list[str] = []
        "What NOTIFYs have told, `200 OK` and the like."
        self.negotiation = self._new_negotiation()
        self._negotiations: dict[str, OfferAnswer] = {}
        self.core = UserAgentCore(
            rng=random.Random(address.host),
            timers=DEFAULT_TIMERS,
            product="party",
            supported=supported,
        )
        self.agent = UserAgent(self.core, [Listener("udp", address)], self._on)
        switch.plug(self.agent, address, self._take_notify)

    def _new_negotiation(self) -> OfferAnswer:
        address = Address(self.address.host, 30000)
        return OfferAnswer(
            address=address,
            session_id=7,
            codecs=self.codecs,
            secure=self.address in self.switch.secure,
            srtp=self.srtp,
        )

    @property
    def uri(self) -> Any:
        return parse_uri(f"sip:{self.user}@{self.address}")

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def heard(self, kind: type, count: int = 1) -> Any:
        """Wait for the `count`th event of a kind."""
        await until(lambda: len(self.of(kind)) >= count, f"{self.user}: {kind}")
        return self.of(kind)[count - 1]

    def call(
        self,
        number: str = SERVICE,
        *,
        late: bool = False,
        body: bytes | None = None,
        max_forwards: int = 70,
        headers: Sequence[tuple[str, str]] = (),
        from_: NameAddr | None = None,
    ) -> None:
        self.negotiation = self._new_negotiation()
        target = parse_uri(f"sip:{number}@{AGENT}" if number else f"sip:{AGENT}")
        offer = b"" if late else self.negotiation.offer()
        self.session = self.core.invite(
            uri=target,
            flow=self.switch.flow(self.address, AGENT),
            from_=from_ or NameAddr(None, self.uri, ()),
            to=NameAddr(None, target, ()),
            contact=self.uri,
            body=offer if body is None else body,
            headers=headers,
            max_forwards=max_forwards,
            now=self.agent.now,
        )
        self._negotiations[self.session] = self.negotiation
        self.agent.flush()

    def send(self, method: str, *headers: tuple[str, str], session: str = "") -> None:
        """Send a request in a dialog of this party's."""
        found: Any = self.core._sessions.get(session or self.session)
        found._link.send(method, self.agent.now, headers=headers, owned=False)
        self.agent.flush()

    def refer(self, to: str, *, session: str = "") -> None:
        """Ask for a transfer."""
        self.send("REFER", ("Refer-To", f"<{to}>"), session=session)

    def replaces(self, session: str = "") -> str:
        """The Replaces that names a dialog of this party's, as the agent sees it."""
        found: Any = self.core._sessions.get(session or self.session)
        dialog = found._link.dialog
        return (
            f"{dialog.call_id};to-tag={dialog.remote.tag};from-tag={dialog.local.tag}"
        )

    async def told(self, status: int) -> None:
        """Wait for the NOTIFY that tells of a status."""
        await until(
            lambda: any(one.startswith(f"{status} ") for one in self.notified),
            f"{self.user}: NOTIFY of {status}, not {self.notified}",
        )

    def ring(self, status: int = 180, body: bytes = b"") -> None:
        self.core.ring(self.session, self.agent.now, status=status, body=body)
        self.agent.flush()

    def pick_up(self, body: bytes) -> None:
        self.core.accept(self.session, self.agent.now, contact=self.uri, body=body)
        self.agent.flush()

    def hang_up(self) -> None:
        self.core.hang_up(self.session, self.agent.now)
        self.agent.flush()

    def change(self, direction: Direction) -> None:
        """Offer another direction, seen from this party."""
        body = self.negotiation.offer(direction=direction)
        self.core.reoffer(self.session, self.agent.now, body=body)
        self.agent.flush()

    def accept_change(self, event: sip.OfferReceived) -> None:
        if event.body is None:
            body = self.negotiation.offer()
        else:
            try:
                body, _ = self.negotiation.answer(event.body)
            except NotAcceptableError as error:
                # Our own offer has met it, and waits to be sent again.
                self.core.refuse_offer(
                    event.session, self.agent.now, status=error.status
                )
                self.agent.flush()
                return
        self.core.accept_offer(event.session, self.agent.now, body=body)
        self.agent.flush()

    @property
    def direction(self) -> Direction | None:
        current = self.negotiation.current
        return None if current is None else current.direction

    def _take_notify(self, data: bytes) -> bytes | None:
        """Answer a NOTIFY, which our own core, no subscriber, would refuse."""
        if not data.startswith(b"NOTIFY "):
            return None
        notify = parse_message(data)
        assert isinstance(notify, Request)
        self.notified.append(notify.body.decode().removeprefix("SIP/2.0 ").strip())
        return response_to(notify, 200).to_bytes()

    def _on(self, event: Any) -> None:
        self.events.append(event)
        if (known := self._negotiations.get(event.session)) is not None:
            self.negotiation = known
        match event:
            case sip.InviteReceived():
                self._invited(event)
            case sip.Accepted():
                body = event.response.body
                if self.negotiation.pending:
                    self.negotiation.receive_answer(body)
                elif body:  # we made no offer: this is one
                    answer, _ = self.negotiation.answer(body)
                    if self.answer_body is not None:
                        answer = self.answer_body
                    self.core.acknowledge(event.session, self.agent.now, body=answer)
            case sip.OfferReceived():
                if self.refuses_offers:
                    self.core.refuse_offer(
                        event.session, self.agent.now, status=self.refuses_offers
                    )
                elif not self.holds_back:
                    self.accept_change(event)
            case sip.OfferAnswered():
                self.negotiation.receive_answer(event.response.body)
            case sip.OfferRefused():
                self.negotiation.cancel_offer()
            case sip.Acknowledged() if self.negotiation.pending and event.request.body:
                self.negotiation.receive_answer(event.request.body)
            case _:
                pass

    def _invited(self, event: sip.InviteReceived) -> None:
        self.session = event.session
        now = self.agent.now
        if self.refuses:
            headers = [("Contact", self.redirects)] if self.redirects else []
            self.core.refuse(event.session, now, status=self.refuses, headers=headers)
            return
        self.negotiation = self._new_negotiation()
        self._negotiations[event.session] = self.negotiation
        if event.request.body:
            answer, _ = self.negotiation.answer(event.request.body)
        else:
            answer = self.negotiation.offer()
        if self.early:
            self.core.ring(event.session, now, status=183, body=answer)
        else:
            self.core.ring(event.session, now)
        if self.answers:
            if self.answer_body is not None:
                answer = self.answer_body
            self.core.accept(event.session, now, contact=self.uri, body=answer)
