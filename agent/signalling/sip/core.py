"""A SIP user agent without sockets: calls made and taken, OPTIONS answered.

RFC 3261 above the transaction layer. The caller feeds datagrams and time, then takes
`next_event` until None and `data_to_send`, and calls `handle_timer` when `get_timer`
says.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.dialog import MAX_FORWARDS, SDP, route_request
from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.events import (
    Accepted,
    Acknowledged,
    Cancelled,
    Ended,
    EndReason,
    Event,
    InviteReceived,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progressed,
    Refused,
    RequestInDialog,
    SessionId,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.inspection import Refusal, inspect_new
from agent.signalling.sip.merged import RecentRequests
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.session import Session
from agent.signalling.sip.session_table import SessionTable
from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers
from agent.signalling.sip.transaction import layer as transaction
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uac import UacSession
from agent.signalling.sip.uas import UasSession
from agent.signalling.sip.uri import NameAddr, Uri

__all__ = [
    "ALLOW",
    "DROP",
    "Accepted",
    "Acknowledged",
    "Cancelled",
    "EndReason",
    "Ended",
    "Event",
    "InviteReceived",
    "OfferAnswered",
    "OfferReceived",
    "OfferRefused",
    "Progressed",
    "Refused",
    "RequestInDialog",
    "SessionId",
    "UserAgentCore",
    "UserAgentStats",
]

ALLOW: Final = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE")
"Methods that are understood."
DROP: Final = transaction.DROP
"What an admission answers to have a request ignored."

Admit = Callable[[Request, Flow], int | None]


@dataclass(slots=True)
class UserAgentStats:
    """Counters since the start."""

    received: int = 0
    "Datagrams."
    sent: int = 0
    "Datagrams."
    parse_errors: int = 0
    "Datagrams that are not SIP, or broken SIP."
    rejected: int = 0
    "Requests outside dialogs that the admission or our rules refused or dropped."
    sessions: int = 0
    "Sessions begun, by either side."


class UserAgentCore:
    """All sessions of one user agent, over all its flows.

    `admit` is asked about each new request outside dialogs, before it costs
    anything: None lets it in, a status refuses it, DROP ignores it. Of a request
    that could not be parsed it sees what could. Requests of the methods in
    `pass_up` that arrive in a dialog become RequestInDialog; of the others INFO is
    answered 200 and forgotten.

    `rng` makes the tags and Call-IDs that keep others out of a dialog, so it had
    better be a random.SystemRandom wherever a peer may be hostile: the outputs of
    any other tell the next ones.
    """

    def __init__(
        self,
        *,
        rng: random.Random,
        timers: Timers = DEFAULT_TIMERS,
        product: str,
        allow: tuple[str, ...] = ALLOW,
        supported: tuple[str, ...] = (),
        pass_up: Collection[str] = (),
        max_sessions: int = 5000,
        max_transactions: int = 20000,
        admit: Admit | None = None,
    ) -> None:
        self.stats = UserAgentStats()
        self._admit = admit
        self._pass_up = frozenset(pass_up)
        self._max_sessions = max_sessions
        self._rng = rng
        self._layer = transaction.TransactionLayer(
            rng=rng,
            timers=timers,
            max_transactions=max_transactions,
            admit=self._admit_request,
        )
        self._user = TransactionUser(
            self._layer,
            rng=rng,
            timers=timers,
            product=product,
            allow=allow,
            supported=supported,
        )
        self._sessions = SessionTable()
        self._recent = RecentRequests(timers.b)

    def __len__(self) -> int:
        """Sessions that are not over."""
        return self._sessions.open

    def invite_of(self, session: SessionId) -> Request | None:
        """The INVITE that began a session, while anything of it can still come."""
        found = self._sessions.get(session)
        return None if found is None else found.invite

    @property
    def transaction_stats(self) -> transaction.TransactionStats:
        return self._layer.stats

    # -- network and time -------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram, whatever it is."""
        self.stats.received += 1
        try:
            message = parse_message(data)
        except SipParseError as error:
            self.stats.parse_errors += 1
            self._answer_unparsable(error, flow, now)
            return
        self._layer.receive(message, flow, now)
        self._take_events(now)

    def transport_failed(self, flow: Flow, now: float) -> None:
        """What was sent on `flow` could not be sent, or the peer is unreachable."""
        self._layer.transport_failed(flow, now)
        self._take_events(now)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        ours, theirs = self._sessions.get_timer(), self._layer.get_timer()
        if ours is None or theirs is None:
            return theirs if ours is None else ours
        return min(ours, theirs)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._layer.handle_timer(now)
        self._take_events(now)
        self._sessions.handle_timer(now)

    def data_to_send(self) -> list[tuple[bytes, Flow]]:
        """The datagrams to send now, in order; each is returned once."""
        data = self._layer.data_to_send()
        self.stats.sent += len(data)
        return data

    def next_event(self) -> Event | None:
        """The next thing the application must know, if there is any."""
        events = self._user.events
        return events.popleft() if events else None

    # -- what the application asks for ------------------------------------------
    #
    # All of these do nothing for a session that is over, because the event that
    # says so may not have been taken yet, and raise LocalSipError, with nothing
    # done, for what its state does not allow and for headers that would not stay
    # one line.

    def invite(
        self,
        *,
        uri: Uri,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        contact: Uri,
        body: bytes,
        content_type: str = SDP,
        headers: Lines = (),
        route: Sequence[Uri] = (),
        max_forwards: int = MAX_FORWARDS,
        now: float,
    ) -> SessionId:
        """Begin a call: Progressed, then Accepted or Refused will tell.

        Without a body the 2xx brings an offer, which `acknowledge` answers. No
        limit stops it: how many calls there may be is decided where they begin.
        """
        hops = [NameAddr(None, hop) for hop in route]
        target, hops_left = route_request(uri, hops)
        call_id = f"{self._rng.getrandbits(128):032x}"
        tag = self._user.new_tag()
        lines = [("Max-Forwards", str(max_forwards))]
        lines += [("Route", str(hop)) for hop in hops_left]
        lines += [
            ("To", str(to.with_tag(None))),
            ("From", str(from_.with_tag(tag))),
            ("Call-ID", call_id),
            ("CSeq", str(CSeq(self._user.new_cseq(), "INVITE"))),
            ("Contact", f"<{contact}>"),
            self._user.allow,
        ]
        if body:
            lines.append(("Content-Type", content_type))
        request = Request("INVITE", target, Headers([*lines, *headers]), body)
        session = UacSession(
            self._new_id(), self._user, request, flow, contact=contact, now=now
        )
        self._sessions.add(session)
        return session.id

    def ring(
        self,
        session: SessionId,
        now: float,
        *,
        status: int = 180,
        body: bytes = b"",
        headers: Lines = (),
    ) -> None:
        """Send a provisional response; it is repeated each minute."""
        if (called := self._called(session)) is not None:
            called.ring(status, body, headers, now)
            self._sessions.settle(called)

    def accept(
        self,
        session: SessionId,
        now: float,
        *,
        contact: Uri,
        body: bytes,
        headers: Lines = (),
    ) -> None:
        """Answer the call: Acknowledged, or Ended without an ACK, will tell."""
        if (called := self._called(session)) is not None:
            called.accept(contact, body, headers, now)
            self._sessions.settle(called)

    def refuse(
        self,
        session: SessionId,
        now: float,
        *,
        status: int,
        reason: str | None = None,
        headers: Lines = (),
    ) -> None:
        """Refuse the call, which ends the session; no event follows."""
        if (called := self._called(session)) is not None:
            called.refuse(status, reason, headers, now)
            self._sessions.settle(called)

    def acknowledge(self, session: SessionId, now: float, *, body: bytes) -> None:
        """Answer the offer that came in the 2xx to an INVITE without one."""
        found = self._sessions.get(session)
        if isinstance(found, UasSession):
            raise LocalSipError("The peer sent that INVITE, and the ACK is its own.")
        if isinstance(found, UacSession):
            found.acknowledge(body, now)
            self._sessions.settle(found)

    def hang_up(self, session: SessionId, now: float, *, headers: Lines = ()) -> None:
        """End the session as its state demands.

        A call that we began and nobody answered is cancelled, and Refused tells when
        that is done. One that nobody of ours answered is refused, and no event
        follows. Any other gets a BYE, as soon as there may be one, and Ended.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.hang_up(headers, now)
            self._sessions.settle(found)

    def reoffer(
        self, session: SessionId, now: float, *, body: bytes, headers: Lines = ()
    ) -> None:
        """Offer a change of the session: OfferAnswered or OfferRefused will tell.

        It waits while another exchange is going on. A later one replaces one that
        has not been sent yet, and no event tells of that.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.reoffer(body, headers, now)
            self._sessions.settle(found)

    def accept_offer(self, session: SessionId, now: float, *, body: bytes) -> None:
        """Answer the last OfferReceived; nothing if the peer has withdrawn it."""
        found = self._sessions.get(session)
        if found is not None:
            found.accept_offer(body, now)
            self._sessions.settle(found)

    def refuse_offer(
        self, session: SessionId, now: float, *, status: int, headers: Lines = ()
    ) -> None:
        """Refuse the last OfferReceived; nothing if the peer has withdrawn it."""
        found = self._sessions.get(session)
        if found is not None:
            found.refuse_offer(status, headers, now)
            self._sessions.settle(found)

    def answer_request(
        self,
        session: SessionId,
        key: str,
        now: float,
        *,
        status: int,
        headers: Lines = (),
        body: bytes = b"",
    ) -> None:
        """Answer a RequestInDialog."""
        found = self._sessions.get(session)
        if found is not None:
            found.answer_request(key, status, headers, body, now)
            self._sessions.settle(found)

    # -- what the transaction layer says ----------------------------------------

    def _take_events(self, now: float) -> None:
        while (event := self._layer.next_event()) is not None:
            session = self._session_of(event)
            if session is not None:
                self._deliver(event, session, now)
                self._sessions.settle(session)
            elif isinstance(event, transaction.RequestReceived):
                self._receive_new(event, now)

    def _session_of(self, event: transaction.Event) -> Session | None:
        match event:
            case transaction.RequestReceived() | transaction.AckReceived():
                return self._sessions.of_message(event.request)
            case transaction.StrayResponse():
                return self._sessions.of_message(event.response)
            case transaction.ResponseReceived():
                owner = self._user.owner(event.key)
                if owner is None:
                    return self._sessions.of_message(event.response)
                return self._sessions.get(owner)
            case _:
                return self._sessions.get(self._user.owner(event.key))

    def _deliver(self, event: transaction.Event, session: Session, now: float) -> None:
        match event:
            case transaction.RequestReceived():
                request = event.request
                pass_up = request.method in self._pass_up
                session.receive_request(event.key, request, now, pass_up=pass_up)
            case transaction.AckReceived():
                session.receive_ack(event.request, now)
            case transaction.CancelReceived():
                session.receive_cancel(event.key, now)
            case transaction.ResponseReceived():
                if self._user.owner(event.key) is not None:
                    session.receive_response(event.key, event.response, now)
                elif event.response.cseq.method == "INVITE":
                    session.receive_2xx_again(event.response, now, stray=False)
            case transaction.StrayResponse():
                session.receive_2xx_again(event.response, now, stray=True)
            case _:
                failed = event.reason is transaction.FailureReason.TRANSPORT
                session.transaction_failed(event.key, 503 if failed else 408, now)

    def _receive_new(self, event: transaction.RequestReceived, now: float) -> None:
        request = with_description_only(event.request)
        refusal = inspect_new(
            request, allow=self._user.allow, supported=self._user.extensions
        )
        if refusal is None and request.method == "INVITE":
            refusal = self._inspect_invite(request, now)
        if refusal is not None:
            self.stats.rejected += 1
            self._respond(event, refusal.status, refusal.headers, now)
        elif request.method == "OPTIONS":
            self._respond(event, 200, self._user.capabilities, now)
        else:
            session = UasSession(
                self._new_id(), self._user, event.key, request, event.flow
            )
            self._sessions.add(session)
            self._user.emit(InviteReceived(session.id, request, event.flow))

    def _inspect_invite(self, request: Request, now: float) -> Refusal | None:
        own = self._sessions.of_dialog(request.call_id, request.from_.tag)
        # Only when it asks for the same user is it a loop; else it is a spiral,
        # which is legitimate (RFC 5393).
        if own is not None and own.invite.uri.user == request.uri.user:
            return Refusal(482)
        if self._recent.is_merged(request, now):
            return Refusal(482)
        if self._sessions.open >= self._max_sessions:
            return Refusal(503, (self._user.retry_after(),))
        return None

    def _respond(
        self,
        event: transaction.RequestReceived,
        status: int,
        headers: Lines,
        now: float,
    ) -> None:
        tag = self._user.new_tag()
        self._user.respond(
            event.key, event.request, status, now, to_tag=tag, headers=headers
        )

    # -- before a transaction ---------------------------------------------------

    def _admit_request(self, request: Request, flow: Flow) -> int | None:
        """Whether a new request may have a transaction, for the layer to ask."""
        in_dialog = request.to.tag is not None
        if in_dialog and self._sessions.of_message(request) is not None:
            return None
        verdict = None if self._admit is None else self._admit(request, flow)
        if verdict is None and in_dialog:
            verdict = 481
        if verdict is not None:
            self.stats.rejected += 1
        return verdict

    def _answer_unparsable(self, error: SipParseError, flow: Flow, now: float) -> None:
        request = error.partial
        if request is None:
            return
        status = error.status
        try:
            verdict = None if self._admit is None else self._admit(request, flow)
        except SipParseError:
            # It looked at what was broken, and so has no opinion.
            verdict = DROP
        if verdict == DROP:
            return
        response = response_to(request, verdict or status, to_tag=self._user.new_tag())
        self._layer.send_stateless(response, flow, now)

    # -- the table of sessions ---------------------------------------------------

    def _new_id(self) -> SessionId:
        self.stats.sessions += 1
        return f"s{self.stats.sessions}"

    def _called(self, session: SessionId) -> UasSession | None:
        found = self._sessions.get(session)
        if isinstance(found, UacSession):
            raise LocalSipError("We sent that INVITE, and the answer is the peer's.")
        return found if isinstance(found, UasSession) else None
