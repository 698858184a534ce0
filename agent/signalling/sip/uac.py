"""A call leg that we began: RFC 3261 sections 9.1 and 13.2, RFC 3262 section 4."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.signalling.sip import renegotiation
from agent.signalling.sip.contact import contact_of
from agent.signalling.sip.dialog import SDP, Dialog
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import (
    Accepted,
    Ended,
    EndReason,
    OfferRefused,
    Progressed,
    Refused,
    SessionId,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.offers import Fate, Offers
from agent.signalling.sip.reliability import Arrival, RAck, ReliableArrivals
from agent.signalling.sip.session import Session
from agent.signalling.sip.session_states import Action, Input, State
from agent.signalling.sip.state import SavedEarly, SavedUac
from agent.signalling.sip.timers import earliest
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri

MAX_FORKS: Final = 16
"Early dialogs, and surplus answers, of one INVITE: a hunt group, not a flood."


MAX_PRACKS: Final = 32
"Of ours without an answer; a peer that sends more reliable responses wants no call."


@dataclass(slots=True, eq=False)
class _Early:
    """One early dialog: a branch of a fork that has answered provisionally."""

    dialog: Dialog
    offers: Offers
    arrivals: ReliableArrivals = field(default_factory=ReliableArrivals)
    owes: RAck | None = None
    "A PRACK that awaits our answer to the offer it was sent."

    def save(self) -> SavedEarly:
        """What another process goes on with."""
        return SavedEarly(
            dialog=self.dialog,
            takes=self.offers.link.takes,
            offers=self.offers.save(),
            last=self.arrivals.last,
            owes=self.owes,
        )


class UacSession(Session):
    """The session of an INVITE of ours."""

    def __init__(
        self,
        id_: SessionId,
        user: TransactionUser,
        invite: Request,
        flow: Flow,
        *,
        contact: Uri,
        alternatives: Sequence[Flow] = (),
    ) -> None:
        """From of `invite` has our tag; `begin` sends it."""
        super().__init__(
            id_,
            user,
            invite,
            flow,
            state=State.CALLING,
            local_tag=invite.from_.tag or "",
            contact=contact,
        )
        self._early: dict[str | None, _Early] = {}
        self._latest: _Early | None = None
        "The one that was heard from last."
        self._surplus = 0
        self._acknowledge_by: float | None = None
        self._linger: float | None = None
        "Until when the peer may send its 2xx again."
        self._pracks: set[str] = set()
        "Their transactions, that have no final response."
        self._plain = invite.headers.copy()
        "Of the INVITE, less what the session timer adds."
        self._alternatives = list(alternatives)
        "Where else it may go, if nobody answers."

    def begin(self, now: float) -> None:
        """Send the INVITE. Raises LocalSipError, and sends nothing."""
        self._send_invite(now)

    @classmethod
    def restored(
        cls, id_: SessionId, user: TransactionUser, saved: SavedUac
    ) -> "UacSession":
        """The session that another process has saved."""
        session = cls(id_, user, saved.invite, saved.flow, contact=saved.contact)
        session._restore_uac(saved)
        return session

    def save(self) -> SavedUac:
        latest = self._latest
        return SavedUac(
            early=tuple(one.save() for one in self._early.values()),
            latest="" if latest is None else latest.dialog.remote_tag,
            surplus=self._surplus,
            acknowledge_by=self._acknowledge_by,
            linger=self._linger,
            pracks=frozenset(self._pracks),
            plain=self._plain,
            alternatives=tuple(self._alternatives),
            **self._fields(),
        )

    def _restore_uac(self, saved: SavedUac) -> None:
        for one in saved.early:
            early = self._new_early(one.dialog)
            early.offers.link.takes = one.takes
            early.offers.restore(one.offers)
            early.arrivals.last, early.owes = one.last, one.owes
        self._latest = self._early.get(saved.latest)
        self._surplus, self._pracks = saved.surplus, set(saved.pracks)
        self._acknowledge_by, self._linger = saved.acknowledge_by, saved.linger
        self._plain, self._alternatives = saved.plain, list(saved.alternatives)
        self._restore(saved)

    def _send_invite(self, now: float) -> None:
        self.invite.headers = self._plain.copy()
        for name, value in self._timer.request_lines():
            self.invite.headers.add(name, value)
        self._key = self._user.send_request(
            self.invite,
            self._link.flow,
            now,
            owner=self.id,
            alternatives=self._alternatives,
        )

    @property
    def finished(self) -> bool:
        return super().finished and self._linger is None and not self._pracks

    def dialog_with(self, remote_tag: str | None) -> Dialog | None:
        found = super().dialog_with(remote_tag)
        early = self._early.get(remote_tag)
        return early.dialog if found is None and early is not None else found

    def _offers_with(self, remote_tag: str | None) -> Offers:
        early = self._early.get(remote_tag)
        return self._offers if early is None else early.offers

    def _offers_in_question(self) -> Offers:
        pending = (one for one in self._early.values() if one.offers.pending)
        early = next(pending, self._latest)
        return self._offers if early is None else early.offers

    def acknowledge(self, body: bytes, now: float) -> None:
        """Send the ACK, or PRACK, with the answer to the offer in the response."""
        if self._ask(Input.ACKNOWLEDGE) is None:
            return
        if self.state is State.CALLING:
            self._answer_early(body, now)
            return
        self._acks.send(self.dialog, self.invite.cseq.number, now, body=body)
        self._offers.negotiation.answer(with_offer=False)
        self._offers.description = body
        self._step(Input.ACKNOWLEDGE)
        self._acknowledge_by = None

    def _answer_early(self, body: bytes, now: float) -> None:
        early = next((one for one in self._early.values() if one.owes), None)
        if early is None:
            raise LocalSipError("No provisional response holds an offer.")
        self._send_prack(early, str(early.owes), now, body=body)
        early.owes = None
        early.offers.negotiation.answer(with_offer=False)
        early.offers.description = body

    def resend(self, key: str, request: Request, now: float) -> bool:
        if key != self._key:
            return super().resend(key, request, now)
        if self.over:
            return False
        self.invite = request
        self._plain.set("CSeq", str(request.cseq))
        for name in ("Authorization", "Proxy-Authorization"):
            for value in request.headers.get_all(name):
                self._plain.set(name, value)
        self._lose_early(now)
        return True

    def move(self, key: str, flow: Flow, now: float) -> bool:
        if key != self._key:
            return super().move(key, flow, now)
        if self.over:
            return False
        if flow in self._alternatives:
            at = self._alternatives.index(flow)
            self._alternatives = self._alternatives[at + 1 :]
        self._link.flow = flow
        self._tell_where(flow)
        self._lose_early(now)
        return True

    def _tell_where(self, flow: Flow) -> None:
        """Have the INVITE say where we are reached by `flow`."""
        old = self._link.contact
        contact = contact_of(flow, old.user, secure=old.scheme == "sips")
        self._link.contact = contact
        for headers in (self.invite.headers, self._plain):
            headers.set("Contact", f"<{contact}>")

    def receive_response(self, key: str, response: Response, now: float) -> None:
        if key == self._key:
            if response.status < 200:
                self._receive_provisional(response, now)
                return
            self._user.disown(key)
            if response.status < 300:
                self._answered(response, now)
            elif not self._try_again(response, now):
                self._refused(response.status, response, now)
            return
        early = self._early_sender(key)
        if response.status >= 200 and (key in self._pracks or early is not None):
            self._user.disown(key)
            self._pracks.discard(key)
            if early is not None:
                self._offers_answered(early.offers, key, response, now)
        else:
            super().receive_response(key, response, now)

    def transaction_failed(self, key: str, status: int, now: float) -> None:
        if key == self._key:
            self._user.disown(key)
            self._refused(status, None, now)
            return
        if key in self._pracks:
            self._user.disown(key)
            self._pracks.discard(key)
            return
        early = [
            one.offers
            for one in tuple(self._early.values())
            if self._offers_failed(one.offers, key, status, now) is not Fate.UNKNOWN
        ]
        if not early:
            super().transaction_failed(key, status, now)

    def _early_sender(self, key: str) -> _Early | None:
        """The early dialog that a request of ours is on its way in."""
        return next(
            (one for one in self._early.values() if one.offers.has_sent(key)), None
        )

    def _try_again(self, response: Response, now: float) -> bool:
        """Send the INVITE anew where only its session timer was wrong (RFC 4028)."""
        if (
            response.status != 422
            or self.state is not State.CALLING
            or not self._timer.too_small(response)
        ):
            return False
        number = self.invite.cseq.number + 1
        self._plain.set("CSeq", f"{number} INVITE")
        self.invite = self.invite.copy()
        self._lose_early(now)
        self._send_invite(now)
        return True

    def _drop_early(self, now: float) -> bool:
        """The branches that are left have lost, or failed.

        Tells whether an offer went, or was to go, to one of them.
        """
        lost = any(one.offers.negotiation.offers for one in self._early.values())
        for early in self._early.values():
            early.offers.drop(now)
        self._early.clear()
        self._latest = None
        return lost

    def _lose_early(self, now: float) -> None:
        """The INVITE is sent anew: there are no branches yet."""
        if self._drop_early(now):
            self._user.emit(OfferRefused(self.id, 487))

    def receive_2xx_again(self, response: Response, now: float, *, stray: bool) -> None:
        if stray or not self._is_surplus(response):
            super().receive_2xx_again(response, now, stray=stray)
        elif self._surplus < MAX_FORKS:
            # Another branch of a fork was answered too: nobody is there for it.
            self._surplus += 1
            dialog = Dialog.uac(self.invite, response, contact=self._link.contact)
            self._acks.send(dialog, response.cseq.number, now)
            hop = self._user.way_in(dialog, self._link.flow, now)
            self._user.send_request(dialog.request("BYE"), hop, now, owner=None)

    def get_timer(self) -> float | None:
        first = earliest(super().get_timer(), self._linger, self._acknowledge_by)
        if self.state is State.CALLING:
            for early in self._early.values():
                first = earliest(first, early.offers.get_timer(confirmed=False))
        return first

    def handle_timer(self, now: float) -> None:
        super().handle_timer(now)
        if self._acknowledge_by is not None and now >= self._acknowledge_by:
            self._acknowledge_by = None
            if self._step(Input.NO_ACK) is Action.ACKNOWLEDGE_AND_BYE:
                self._acknowledge_and_bye((), now)
                self._user.emit(Ended(self.id, EndReason.NO_ACK, None))
        if self._linger is not None and now >= self._linger:
            self._linger = None
        self._offer_if_due(now)

    def _is_surplus(self, response: Response) -> bool:
        return (
            response.to.tag != self.dialog.remote_tag
            and response.cseq.number == self.invite.cseq.number
            and response not in self._acks
        )

    def _hang_up_early(self, action: Action, headers: Lines, now: float) -> None:
        if action is Action.CANCEL:
            self._user.cancel(self._key, now, headers)
        else:
            self._acknowledge_and_bye(headers, now)

    def _receive_provisional(self, response: Response, now: float) -> None:
        if response.status == 100:
            return
        early = self._early_with(response)
        arrival = Arrival.UNRELIABLE
        if early is not None:
            arrival = early.arrivals.receive(response)
        if arrival in {Arrival.REPEATED, Arrival.EARLY}:
            return
        if arrival is Arrival.NEW and len(self._pracks) >= MAX_PRACKS:
            return
        if self._step(Input.RECV_1XX) is not Action.TELL:
            return
        lost = False
        if early is not None:
            early.offers.link.hear(response)
            self._latest = early
            if arrival is Arrival.NEW:
                self._receive_reliable(early, response, now)
            if response.status == 199:
                # RFC 6228: that branch is over.
                lost = early.offers.negotiation.offers
                early.offers.drop(now)
                del self._early[response.to.tag]
                self._latest = None
        self._user.emit(Progressed(self.id, response))
        if lost:
            self._user.emit(OfferRefused(self.id, 487))
        self._offer_if_due(now)

    def _early_with(self, response: Response) -> _Early | None:
        """The early dialog that a provisional response belongs to, or begins."""
        tag = response.to.tag
        if tag is None:
            return None
        if tag not in self._early and len(self._early) < MAX_FORKS:
            dialog = Dialog.uac(self.invite, response, contact=self._link.contact)
            self._new_early(dialog)
        return self._early.get(tag)

    def _new_early(self, dialog: Dialog) -> _Early:
        link = Link(self.id, self._user, self._link.flow, self._link.contact, dialog)
        early = _Early(dialog, self._new_offers(link))
        self._early[dialog.remote_tag] = early
        return early

    def _receive_reliable(self, early: _Early, response: Response, now: float) -> None:
        """Send its PRACK, unless that must hold an answer of the application's."""
        rack = early.arrivals.rack(response)
        negotiation = early.offers.negotiation
        if response.body:
            early.offers.take_answer(response.body)
            if negotiation.state is renegotiation.State.EXPECTING:
                negotiation.receive_offer_in_response()
                early.owes = rack
                return
        self._send_prack(early, str(rack), now)

    def _send_prack(
        self, early: _Early, rack: str, now: float, *, body: bytes = b""
    ) -> None:
        key = early.offers.link.send("PRACK", now, headers=(("RAck", rack),), body=body)
        self._pracks.add(key)

    def _offer_if_due(self, now: float) -> None:
        if self.state is State.CALLING:
            for early in self._early.values():
                early.offers.send_due(now, confirmed=False)
        else:
            super()._offer_if_due(now)

    def _answered(self, response: Response, now: float) -> None:
        """The first 2xx, which wins."""
        # Section 13.2.2.4: the route set is computed anew.
        dialog = Dialog.uac(self.invite, response, contact=self._link.contact)
        early = self._early.pop(dialog.remote_tag, None)
        if early is not None:
            dialog.remote_cseq = early.dialog.remote_cseq
            dialog.local_cseq = early.dialog.local_cseq
            self._offers = early.offers
            self._offers.link = self._link
            self._link.takes = early.offers.link.takes
        lost = self._drop_early(now)
        self._link.current = dialog
        self._link.hear(response)
        self._linger = now + self._user.timers.m
        self._timer.answered(response, now)
        action = self._step(self._take_answer(response))
        if lost and not self.over:
            self._user.emit(OfferRefused(self.id, 487))
        if not response.body and self._offers.answer:
            # It stood in a reliable provisional response, and need not come again.
            response = _with_description(response, self._offers.answer)
        if action is Action.AWAIT_ACKNOWLEDGE:
            self._acknowledge_by = now + self._user.timers.h
            self._user.emit(Accepted(self.id, response))
        elif action is Action.ACKNOWLEDGE:
            self._acks.send(dialog, self.invite.cseq.number, now)
            self._user.emit(Accepted(self.id, response))
            self._offer_if_due(now)
        else:
            self._acknowledge_and_bye((), now)
            self._user.emit(Refused(self.id, 487, None))

    def _take_answer(self, response: Response) -> Input:
        """What the description in the 2xx is: the answer, an offer, or old news."""
        negotiation = self._offers.negotiation
        if negotiation.state is renegotiation.State.EXPECTING:
            if response.body:
                negotiation.receive_offer_in_response()
                return Input.RECV_2XX_OFFER
            negotiation.answered()
        else:
            self._offers.take_answer(response.body)
        return Input.RECV_2XX

    def _acknowledge_and_bye(self, headers: Lines, now: float) -> None:
        self._acknowledge_by = None
        self._abandon(now)
        self._acks.send(self.dialog, self.invite.cseq.number, now)
        self._send_bye(headers, now)

    def _refused(self, status: int, response: Response | None, now: float) -> None:
        self._abandon(now)
        self._step(Input.RECV_FAILURE)
        self._drop_early(now)
        self._user.emit(Refused(self.id, status, response))


def _with_description(response: Response, body: bytes) -> Response:
    response = response.copy()
    response.headers.set("Content-Type", SDP)
    response.body = body
    return response
