"""One call leg, whoever called whom: RFC 3261 sections 14 and 15, RFC 5407.

`session_states` has its table; `uac` and `uas` have what comes before the answer.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

from agent.signalling.sip import renegotiation
from agent.signalling.sip.acceptance import Acceptances
from agent.signalling.sip.acknowledgements import Acknowledgements
from agent.signalling.sip.authorization import credentials_of
from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import (
    Acknowledged,
    Ended,
    EndReason,
    OfferRefused,
    SessionId,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.inquiries import Inquiries
from agent.signalling.sip.inspection import inspect_in_dialog
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.offers import Fate, Offers
from agent.signalling.sip.referral import Referrals
from agent.signalling.sip.renegotiation import Offer, Refresh
from agent.signalling.sip.session_states import (
    MORTAL,
    OVER,
    TRANSITIONS,
    Action,
    Input,
    State,
)
from agent.signalling.sip.session_timer import Action as Due, SessionTimer
from agent.signalling.sip.state import SavedSession, SavedUac, SavedUas
from agent.signalling.sip.timers import earliest
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri


class Session(ABC):
    """One INVITE and all that follows from it, until its BYE is answered.

    What the application asks for does nothing once the session is over, because
    the news of that may still be on its way to it. What makes no sense in the
    present state raises LocalSipError, and does nothing.
    """

    def __init__(
        self,
        id_: SessionId,
        user: TransactionUser,
        invite: Request,
        flow: Flow,
        *,
        state: State,
        local_tag: str,
        contact: Uri,
    ) -> None:
        self.id = id_
        self.state = state
        self.invite = invite
        self.local_tag = local_tag
        self._user = user
        self._link = Link(id_, user, flow, contact)
        self._key = ""
        "The transaction of the INVITE that began it all."
        self._acks = Acknowledgements(self._link)
        self._acceptances = Acceptances(user.timers)
        self._timer = SessionTimer(preferred=user.session_expires, min_se=user.min_se)
        self._offers = self._new_offers(self._link)
        self.inquiries = Inquiries(self._link)
        self.referrals = Referrals(self._link)
        self._bye = ""

    @property
    def flow(self) -> Flow:
        """That of the INVITE, or what took its place."""
        return self._link.flow

    @property
    def over(self) -> bool:
        """Whether the application has nothing to do with it any more."""
        return self.state in OVER

    @property
    def finished(self) -> bool:
        """Whether nothing can come any more that this session would know."""
        return (
            self.state is State.TERMINATED
            and not self._acceptances
            and not self._offers.busy
            and not self.referrals
        )

    @property
    def dialog(self) -> Dialog:
        """The dialog that counts; raises LocalSipError before there is one."""
        return self._link.dialog

    def dialog_with(self, remote_tag: str | None) -> Dialog | None:
        """The dialog, early or confirmed, whose other end has that tag."""
        dialog = self._link.current
        return dialog if dialog and dialog.remote_tag == remote_tag else None

    @property
    def _confirmed(self) -> bool:
        """Whether a re-INVITE can change the session; before, only an UPDATE can."""
        return self.state in {State.ACCEPTED, State.CONFIRMED}

    def _new_offers(self, link: Link) -> Offers:
        """Offer and answer in a dialog that the INVITE has made, or will make."""
        ours = self.state is State.CALLING
        state = renegotiation.State.EXPECTING
        if self.invite.body:
            began = renegotiation.State
            state = began.OFFERING if ours else began.ANSWERING
        offers = Offers(
            link, self._acceptances, self._timer, owns_call_id=ours, state=state
        )
        if ours:
            offers.description = self.invite.body
        return offers

    def _offers_in_question(self) -> Offers:
        """Those of the dialog that the application speaks of."""
        return self._offers

    def _offers_to_change(self) -> Offers:
        offers = self._offers_in_question()
        if offers.link.current is None:
            raise LocalSipError("There is no dialog yet.")
        return offers

    def _offers_with(self, remote_tag: str | None) -> Offers:
        """Those of the dialog whose other end has that tag, which there is."""
        return self._offers

    # -- what the application asks for ------------------------------------------

    def hang_up(self, headers: Lines, now: float) -> None:
        """End it as the state demands; again changes nothing."""
        Headers(headers)  # a broken one must fail now, and not when a held BYE goes
        action = self._ask(Input.HANG_UP)
        if action is None:
            return
        if action is Action.BYE:
            self._abandon(now)
            self._send_bye(headers, now)
        else:
            self._hang_up_early(action, headers, now)
        self._step(Input.HANG_UP)

    def reoffer(self, offer: Offer, now: float) -> None:
        """Send a re-INVITE or UPDATE as soon as there may be one."""
        if self._ask(Input.REOFFER) is None:
            return
        if not offer.body:
            raise LocalSipError("An offer needs a body.")
        Headers(offer.headers)  # a broken one must fail now, and not when it goes
        self._offers_to_change().negotiation.want(offer)
        self._offer_if_due(now)

    def refresh(self, refresh: Refresh, now: float) -> None:
        """Send an UPDATE without an offer, as soon as there may be one."""
        if self._ask(Input.REOFFER) is None:
            return
        Headers(refresh.headers)
        self._offers_to_change().want_refresh(refresh)
        self._offer_if_due(now)

    def offered(self) -> Request | None:
        """The peer's re-INVITE, UPDATE or PRACK whose offer awaits our answer."""
        return self._offers_in_question().pending

    def accept_offer(self, body: bytes, now: float) -> None:
        """Answer the peer's offer; nothing if it was withdrawn."""
        self._offers_in_question().accept(body, now)
        self._offer_if_due(now)

    def refuse_offer(self, status: int, headers: Lines, now: float) -> None:
        """Refuse the peer's offer; nothing if it was withdrawn."""
        self._offers_in_question().refuse(status, headers, now)
        self._offer_if_due(now)

    def move(self, key: str, flow: Flow, now: float) -> bool:
        """What was sent under `key` failed, and may go to `flow` as it is.

        False if it is not wanted any more.
        """
        return not self._offers.has_cancelled(key)

    def resend(self, key: str, request: Request, now: float) -> bool:
        """The peer wants what was sent under `key` once more, with credentials.

        False if it is not wanted any more; else `request` has its new CSeq.
        """
        if self._offers.has_cancelled(key):
            return False
        dialog = self.dialog_with(request.to.tag)
        if dialog is None:
            return False
        dialog.local_cseq += 1
        cseq = CSeq(dialog.local_cseq, request.method)
        request.headers.set("CSeq", str(cseq))
        if request.method == "INVITE":
            dialog.credentials = credentials_of(request)
        return True

    # -- responses to what we sent ----------------------------------------------

    def receive_response(self, key: str, response: Response, now: float) -> None:
        """A response in a transaction that has had no final one yet."""
        if response.status < 200:
            return
        self._user.disown(key)
        if key == self._bye:
            self._bye_done()
        elif not self.referrals.notified(key, response.status, now):
            self._offers_answered(self._offers, key, response, now)

    def transaction_failed(self, key: str, status: int, now: float) -> None:
        """A transaction has failed, which is as good as the response `status`."""
        if key == self._bye:
            self._user.disown(key)
            self._bye_done()
        elif self.inquiries.failed(key) or self.referrals.failed(key, status, now):
            self._user.disown(key)
        else:
            self._offers_failed(self._offers, key, status, now)

    def _offers_answered(
        self, offers: Offers, key: str, response: Response, now: float
    ) -> Fate:
        """A final response, maybe to a re-INVITE or UPDATE of ours."""
        fate, number = offers.receive_response(key, response, now, over=self.over)
        if number is not None:
            self._acks.send(self.dialog, number, now)
        self._go_on(fate, now)
        return fate

    def _offers_failed(self, offers: Offers, key: str, status: int, now: float) -> Fate:
        """A transaction failed, maybe that of a re-INVITE or UPDATE of either side."""
        fate = offers.transaction_failed(key, status, now, over=self.over)
        if fate is not Fate.UNKNOWN:
            self._user.disown(key)
        self._go_on(fate, now)
        return fate

    def _go_on(self, fate: Fate, now: float) -> None:
        if fate is Fate.DIALOG_LOST:
            if self._step(Input.DIALOG_FAILED) is Action.BYE:
                self._clear(EndReason.DIALOG_FAILED, now)
            else:
                # There may be other branches, and the INVITE has its own end.
                self._user.emit(OfferRefused(self.id, 481))
        self._offer_if_due(now)

    def receive_2xx_again(self, response: Response, now: float, *, stray: bool) -> None:
        """A 2xx to an INVITE of ours beyond the first (section 13.2.2.4).

        `stray`: its transaction is gone. One that failed with its transport was a
        failure to us, and none to the peer, who is offered what holds.
        """
        dialog = self.dialog_with(response.to.tag)
        if dialog and stray and self._confirmed and self._offers.takes_late(response):
            self._acks.send(dialog, response.cseq.number, now)
            self._offer_if_due(now)
        else:
            self._acks.repeat(response, now)

    # -- what the peer sends ----------------------------------------------------

    def receive_cancel(self, key: str, now: float) -> None:
        """The peer cancels its re-INVITE."""
        self._offers.receive_cancel(key, now)
        self._offer_if_due(now)

    def receive_ack(self, ack: Request, now: float) -> None:
        """An ACK that no transaction took: for a 2xx, or for nothing we sent."""
        if self.dialog_with(ack.from_.tag) is None:
            return
        if not self._acceptances.acknowledge(ack.cseq.number):
            return
        self._offers.negotiation.acknowledged()
        self._acknowledged(self._step(Input.RECV_ACK), ack, now)

    def follow(self, request: Request, flow: Flow) -> None:
        """A request in one of our dialogs has come by `flow`."""
        if self.dialog_with(request.from_.tag) is not None:
            self._link.follow(flow)

    def receive_request(
        self, key: str, request: Request, now: float, *, pass_up: bool
    ) -> None:
        """A request in one of our dialogs, other than ACK and CANCEL.

        `pass_up`: the application wants to answer those of that method.
        """
        dialog = self.dialog_with(request.from_.tag)
        method, user = request.method, self._user
        if dialog is None or (self.state in MORTAL and method not in _POSTHUMOUS):
            self._user.respond(key, request, 481, now)
        elif not dialog.is_in_order(request):
            self._user.respond(key, request, 500, now)
        elif refusal := inspect_in_dialog(
            request, allow=user.allow, accept=user.accept, supported=user.extensions
        ):
            user.respond(key, request, refusal.status, now, headers=refusal.headers)
        elif method == "BYE":
            self._receive_bye(key, request, now)
        elif method == "PRACK":
            self._receive_prack(key, request, now)
        elif method == "INVITE":
            self._receive_offer(Input.RECV_REINVITE, key, request, now)
        elif method == "UPDATE" and request.body:
            self._receive_offer(Input.RECV_OFFER, key, request, now)
        elif method == "UPDATE":
            self._offers_with(request.from_.tag).receive_refresh(key, request, now)
        elif method == "REFER":
            self._receive_refer(key, request, now)
        elif method == "SUBSCRIBE":
            self.referrals.receive_subscribe(key, request, now)
        elif pass_up:
            self.inquiries.receive(key, request, now)
        else:
            lines = self._user.capabilities if method == "OPTIONS" else ()
            self._user.respond(key, request, 200, now, headers=lines)

    def _receive_bye(self, key: str, request: Request, now: float) -> None:
        action = self._step(Input.RECV_BYE)
        if action is None:
            self._user.respond(key, request, 481, now)
            return
        self._user.respond(key, request, 200, now)
        if action is Action.TELL:
            self._abandon(now)
            self._user.emit(Ended(self.id, EndReason.BYE, request))

    def _receive_prack(self, key: str, request: Request, now: float) -> None:
        """A PRACK: stray, for only a UAS has sent what one could be for."""
        self._link.respond(key, request, 481, now)

    def _receive_offer(
        self, input_: Input, key: str, request: Request, now: float
    ) -> None:
        action = self._step(input_)
        if action is Action.NEGOTIATE:
            offers = self._offers_with(request.from_.tag)
            offers.link.hear(request)
            offers.receive(key, request, now)
        else:
            status = 481 if action is None else _REFUSALS[action]
            self._link.respond(key, request, status, now)

    def _receive_refer(self, key: str, request: Request, now: float) -> None:
        if self._step(Input.RECV_REFER) is None:
            # What nobody has answered yet cannot be transferred yet.
            self._link.respond(key, request, 500, now)
        else:
            self.referrals.receive(key, request, now)

    # -- time -------------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        offers = None
        if not self.over:
            offers = self._offers.get_timer(confirmed=self._confirmed)
        return earliest(
            self._acceptances.get_timer(),
            self.referrals.get_timer(),
            self._timer.get_timer(),
            offers,
        )

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        again, given_up = self._acceptances.handle_timer(now)
        for key, response in again:
            self._user.respond_again(key, response, now)
        if given_up:
            self._no_ack(now)
        self.referrals.handle_timer(now)
        due = self._timer.handle_timer(now)
        if due is Due.REFRESH:
            self._offers.want_refresh()
        elif due is Due.EXPIRE and self._step(Input.EXPIRE) is Action.BYE:
            self._clear(EndReason.SESSION_EXPIRED, now)
        if not self.over:
            self._offers.handle_timer(now, confirmed=self._confirmed)

    # -- another process ----------------------------------------------------------

    @abstractmethod
    def save(self) -> SavedUac | SavedUas:
        """What another process goes on with; it shares what is in it with us."""

    def _fields(self) -> dict[str, Any]:
        """What is saved of every session."""
        return {
            "state": self.state,
            "invite": self.invite,
            "local_tag": self.local_tag,
            "flow": self._link.flow,
            "contact": self._link.contact,
            "dialog": self._link.current,
            "takes": self._link.takes,
            "key": self._key,
            "bye": self._bye,
            "acks": self._acks.save(),
            "acceptances": self._acceptances.save(),
            "timer": self._timer.save(),
            "offers": self._offers.save(),
            "inquiries": self.inquiries.save(),
            "referrals": self.referrals.save(),
        }

    def _restore(self, saved: SavedSession) -> None:
        """Go on with what was saved."""
        self.state, self.local_tag = saved.state, saved.local_tag
        self._link.current, self._link.takes = saved.dialog, saved.takes
        self._key, self._bye = saved.key, saved.bye
        self._acks.restore(saved.acks)
        self._acceptances.restore(saved.acceptances)
        self._timer.restore(saved.timer)
        self._offers.restore(saved.offers)
        self.inquiries.restore(saved.inquiries)
        self.referrals.restore(saved.referrals)

    # -- shared with the two kinds of sessions ----------------------------------

    def _ask(self, input_: Input) -> Action | None:
        """What the table says to the application's wish; None: it comes too late."""
        entry = TRANSITIONS.get((self.state, input_))
        if entry is not None:
            return entry[0]
        if self.state in OVER:
            return None
        raise LocalSipError(f"{input_.name} is not allowed in {self.state.name}.")

    def _step(self, input_: Input) -> Action | None:
        """Go where the table says, and return the action; None: nowhere."""
        entry = TRANSITIONS.get((self.state, input_))
        if entry is None:
            return None
        action, self.state = entry
        return action

    @abstractmethod
    def _hang_up_early(self, action: Action, headers: Lines, now: float) -> None:
        """End what is not confirmed, as `action` says."""

    def _acknowledged(self, action: Action | None, ack: Request, now: float) -> None:
        """The first ACK for a 2xx of ours."""
        if action is Action.TELL:
            self._user.emit(Acknowledged(self.id, ack))
            self._offer_if_due(now)

    def _no_ack(self, now: float) -> None:
        """A 2xx of ours was given up."""
        if self._step(Input.NO_ACK) is Action.BYE:
            self._clear(EndReason.NO_ACK, now)

    def _clear(self, reason: EndReason, now: float) -> None:
        """Say BYE to a peer that may no longer hear it, and be done."""
        self._abandon(now)
        self._send_bye((), now)
        self._user.emit(Ended(self.id, reason, None))

    def _send_bye(self, headers: Lines, now: float) -> None:
        self._bye = self._link.send("BYE", now, headers=headers)

    def _bye_done(self) -> None:
        if self._step(Input.BYE_DONE) is Action.TELL:
            self._user.emit(Ended(self.id, EndReason.LOCAL, None))

    def _abandon(self, now: float) -> None:
        """Answer what is open of the peer's (section 15.1.2), cancel what is ours."""
        self._timer.stop()
        self._offers.abandon(now)
        self.inquiries.abandon(now)
        self.referrals.abandon(now)

    def _offer_if_due(self, now: float) -> None:
        """Send an offer or refresh that waits, if there may be one."""
        if not self.over and self.state is not State.ANSWERED:
            self._offers.send_due(now, confirmed=self._confirmed)


_POSTHUMOUS: Final = frozenset({"BYE", "PRACK"})
"What is late, and no error, in a dialog that has ended."
_REFUSALS: Final = {Action.REFUSE_491: 491, Action.REFUSE_500: 500}
