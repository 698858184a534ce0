"""A call leg that the peer began: RFC 3261 sections 9.2, 13.3, RFC 3262 section 3."""

from typing import Final

from agent.common.weakly import weakly
from agent.signalling.sip import renegotiation
from agent.signalling.sip.contact import asks_for_sips, contact_of
from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.events import (
    Cancelled,
    ProvisionalAcknowledged,
    SessionId,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.reliability import (
    RELIABLE,
    Provisional,
    ReliableProvisionals,
    parse_rack,
)
from agent.signalling.sip.session import Session
from agent.signalling.sip.session_states import Action, Input, State
from agent.signalling.sip.state import SavedUas
from agent.signalling.sip.timers import earliest
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri

RING_INTERVAL: Final = 60.0
"Seconds: proxies give up what is silent for three minutes (section 13.3.1.1)."
RELIABLE_RING_INTERVAL: Final = 150.0
"Seconds; what is sure to arrive need not be told so often (RFC 3262 section 3)."


class UasSession(Session):
    """The session of an INVITE that we received."""

    def __init__(
        self,
        id_: SessionId,
        user: TransactionUser,
        key: str,
        invite: Request,
        flow: Flow,
    ) -> None:
        """Takes the INVITE received in the transaction `key`."""
        contact = contact_of(flow, invite.uri.user, secure=asks_for_sips(invite))
        super().__init__(
            id_,
            user,
            invite,
            flow,
            state=State.INCOMING,
            local_tag=user.new_tag(),
            contact=contact,
        )
        self._key = key
        self._link.current = Dialog.uas(
            invite,
            local_tag=self.local_tag,
            contact=contact,
            local_cseq=user.new_cseq(),
        )
        self._link.hear(invite)
        self._reliable = ReliableProvisionals(
            timers=user.timers,
            rng=user.rng,
            send=weakly(self._send_reliable),
            repeat=lambda response, now: user.respond_again(key, response, now),
        )
        self._accept_later: tuple[Uri, bytes, Lines, tuple[str, ...]] | None = None
        "What to accept with, once a PRACK has come."
        self._provisional: Response | None = None
        self._ring_at: float | None = None
        self._bye_headers: Lines = ()

    @classmethod
    def restored(
        cls, id_: SessionId, user: TransactionUser, saved: SavedUas
    ) -> "UasSession":
        """The session that another process has saved."""
        session = cls(id_, user, saved.key, saved.invite, saved.flow)
        session._restore_uas(saved)
        return session

    def save(self) -> SavedUas:
        later = self._accept_later
        return SavedUas(
            reliable=self._reliable.save(),
            accept_later=later and (*later[:2], tuple(later[2]), later[3]),
            provisional=self._provisional,
            ring_at=self._ring_at,
            bye_headers=tuple(self._bye_headers),
            **self._fields(),
        )

    def _restore_uas(self, saved: SavedUas) -> None:
        self._restore(saved)
        self._link.contact = saved.contact
        self._reliable.restore(saved.reliable)
        self._accept_later, self._provisional = saved.accept_later, saved.provisional
        self._ring_at, self._bye_headers = saved.ring_at, saved.bye_headers

    @property
    def finished(self) -> bool:
        return super().finished and not self._reliable.outstanding

    def ring(
        self, status: int, body: bytes, headers: Lines, now: float, *, reliable: bool
    ) -> None:
        """Send a provisional response, and again each minute.

        `reliable`: so that it is sure to arrive, if the peer knows how to tell.
        """
        if self._ask(Input.RING) is None:
            return
        if not 100 < status < 200:
            raise LocalSipError("A provisional response is a 101-199.")
        if self._is_reliable(wanted=reliable):
            Headers(headers)  # a broken one must fail now, and not when it goes
            self._provisional = None
            self._reliable.send(Provisional(status, body, tuple(headers)), now)
            self._ring_at = now + RELIABLE_RING_INTERVAL
        else:
            lines = (*self._link.target_lines, *headers)
            self._provisional = self._respond(status, now, headers=lines, body=body)
            self._ring_at = now + RING_INTERVAL

    def _is_reliable(self, *, wanted: bool) -> bool:
        """RFC 3262 section 3: where the peer requires it, or can and we want to."""
        if RELIABLE not in self._user.extensions:
            return False
        required = RELIABLE in self.invite.require
        return required or (wanted and RELIABLE in self.invite.supported)

    def _send_reliable(self, one: Provisional, rseq: int, now: float) -> Response:
        lines = (
            ("Require", RELIABLE),
            ("RSeq", str(rseq)),
            *self._link.target_lines,
            *one.headers,
        )
        response = self._respond(one.status, now, headers=lines, body=one.body)
        if one.body:
            self._described(one.body)
        return response

    def _described(self, body: bytes) -> None:
        """A description of ours is sure to arrive: the answer, or an offer."""
        negotiation = self._offers.negotiation
        offers = negotiation.state is renegotiation.State.EXPECTING
        if offers or self._answers_invite:
            negotiation.answer(with_offer=offers)
            self._offers.description = body

    @property
    def _answers_invite(self) -> bool:
        """Whether the offer in the INVITE is what is to be answered next."""
        state = self._offers.negotiation.state
        return state is renegotiation.State.ANSWERING and self._offers.pending is None

    def accept(
        self,
        contact: Uri,
        body: bytes,
        headers: Lines,
        now: float,
        *,
        features: tuple[str, ...] = (),
    ) -> None:
        """Send the 2xx, and again until its ACK; after the PRACK that it waits for."""
        if self._ask(Input.ACCEPT) is None:
            return
        if self._accept_later is not None:
            raise LocalSipError("It has been accepted.")
        if self._reliable.holds_answer:
            Headers(headers)
            self._accept_later = contact, body, headers, features
            self._step(Input.ACCEPT_LATER)
            return
        self._accept(contact, body, headers, features, now)

    def _accept(
        self,
        contact: Uri,
        body: bytes,
        headers: Lines,
        features: tuple[str, ...],
        now: float,
    ) -> None:
        self._link.contact = self.dialog.contact = contact
        self.dialog.features = features
        negotiation = self._offers.negotiation
        if not (
            negotiation.state is renegotiation.State.EXPECTING or self._answers_invite
        ):
            # The exchange is complete: another description would be none of it.
            body = b""
        lines = (
            *self._link.target_lines,
            *self._timer.answer(self.invite, now),
            *headers,
        )
        response = self._respond(200, now, headers=lines, body=body)
        self._step(Input.ACCEPT)
        self._closed(now)
        self._acceptances.add(self._key, response, now)
        if body:
            self._described(body)

    def refuse(
        self, status: int, reason: str | None, headers: Lines, now: float
    ) -> None:
        """Send a final response other than 2xx."""
        if self._ask(Input.REFUSE) is None:
            return
        if not 300 <= status < 700:
            raise LocalSipError("A refusal is a 300-699.")
        self._respond(status, now, reason=reason, headers=headers)
        self._abandon(now)
        self._step(Input.REFUSE)
        self._closed(now)

    def _closed(self, now: float) -> None:
        """There is a final response."""
        self._ring_at = self._accept_later = None
        self._reliable.close(now)

    def receive_cancel(self, key: str, now: float) -> None:
        if key != self._key:
            super().receive_cancel(key, now)
        elif self._step(Input.RECV_CANCEL) is Action.TERMINATE_INVITE:
            self._terminate_invite(now)

    def transaction_failed(self, key: str, status: int, now: float) -> None:
        # The INVITE's own survives its transport (RFC 6026).
        if key != self._key:
            super().transaction_failed(key, status, now)

    def get_timer(self) -> float | None:
        return earliest(super().get_timer(), self._ring_at, self._reliable.get_timer())

    def handle_timer(self, now: float) -> None:
        super().handle_timer(now)
        if self._reliable.handle_timer(now):
            self._no_prack(now)
        if self._ring_at is not None and now >= self._ring_at:
            self._ring_again(now)

    def _ring_again(self, now: float) -> None:
        """Tell proxies that it still rings (RFC 3261 section 13.3.1.1)."""
        if self._provisional is not None:
            self._user.respond_again(self._key, self._provisional, now)
            self._ring_at = now + RING_INTERVAL
        else:
            self._reliable.send(Provisional(180), now)
            self._ring_at = now + RELIABLE_RING_INTERVAL

    def _receive_prack(self, key: str, request: Request, now: float) -> None:
        try:
            rack = parse_rack(request)
        except SipParseError:
            self._link.respond(key, request, 481, now)
            return
        negotiation = self._offers.negotiation
        answers = negotiation.state is renegotiation.State.AWAITING_ANSWER
        offers = bool(request.body) and not answers
        if not self._reliable.receive_prack(rack):
            self._link.respond(key, request, 481, now)
            return
        if self.over:
            # Our final response has overtaken it: there is nothing left to describe.
            self._link.respond(key, request, 200, now)
            return
        if offers:
            self._receive_offer(Input.RECV_OFFER, key, request, now)
        else:
            if answers and request.body:
                negotiation.acknowledged()
            self._link.respond(key, request, 200, now)
            self._user.emit(ProvisionalAcknowledged(self.id, request))
        self._reliable.send_next(now)
        if self._accept_later is not None and not self._reliable.holds_answer:
            accept, self._accept_later = self._accept_later, None
            self._accept(*accept, now)
        self._offer_if_due(now)

    def _no_prack(self, now: float) -> None:
        """The caller does not hear us (RFC 3262 section 3)."""
        self._step(Input.NO_PRACK)
        self._terminate_invite(now, 504)

    def _offer_if_due(self, now: float) -> None:
        # Before its PRACK our answer in a 1xx may be unknown to the peer.
        if not self._reliable.holds_answer:
            super()._offer_if_due(now)

    def _hang_up_early(self, action: Action, headers: Lines, now: float) -> None:
        self._abandon(now)
        if action is Action.HOLD_BYE:
            self._bye_headers = headers
        else:
            # Not 603, which would keep a proxy from trying anyone else.
            self._respond(480, now, headers=headers)
            self._closed(now)

    def _receive_bye(self, key: str, request: Request, now: float) -> None:
        incoming = self.state in {State.INCOMING, State.AWAITING_PRACK}
        super()._receive_bye(key, request, now)
        if incoming:
            self._terminate_invite(now)

    def _acknowledged(self, action: Action | None, ack: Request, now: float) -> None:
        super()._acknowledged(action, ack, now)
        if action is Action.BYE:
            self._send_bye(self._bye_headers, now)

    def _no_ack(self, now: float) -> None:
        if self.state is State.LEAVING:
            self._step(Input.NO_ACK)
            self._send_bye(self._bye_headers, now)
        else:
            super()._no_ack(now)

    def _terminate_invite(self, now: float, status: int = 487) -> None:
        """The peer gave up before our final response."""
        self._abandon(now)
        self._respond(status, now)
        self._closed(now)
        self._user.emit(Cancelled(self.id))

    def _respond(
        self,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Lines = (),
        body: bytes = b"",
    ) -> Response:
        return self._user.respond(
            self._key,
            self.invite,
            status,
            now,
            reason=reason,
            to_tag=self.local_tag,
            headers=headers,
            body=body,
        )
