"""One call leg, whoever called whom: RFC 3261 sections 14 and 15, RFC 5407.

`session_states` has its table; `uac` and `uas` have what comes before the answer.
"""

from abc import ABC, abstractmethod
from typing import Final

from agent.signalling.sip.acceptance import Acceptances
from agent.signalling.sip.authorization import credentials_of
from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import (
    Acknowledged,
    Ended,
    EndReason,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    RequestInDialog,
    SessionId,
    TargetRefreshed,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.inspection import inspect_in_dialog
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.referral import Referrals
from agent.signalling.sip.renegotiation import Offer, Renegotiation
from agent.signalling.sip.session_states import (
    MORTAL,
    OVER,
    TRANSITIONS,
    Action,
    Input,
    State,
)
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri

MAX_ACKS: Final = 32
"ACKs kept for retransmitted 2xx; these come within 64*T1."
MAX_UNACKNOWLEDGED: Final = 2
"2xx of ours at once: that to the INVITE, and to the re-INVITE that overtook its ACK."
MAX_REQUESTS: Final = 8
"Requests the application has not answered yet."


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
        self._acks: dict[tuple[str | None, int], tuple[Request, Flow]] = {}
        self._acceptances = Acceptances(user.timers)
        self._renegotiation = Renegotiation(
            owns_call_id=state is State.CALLING, rng=user.rng
        )
        self._reinvite = ""
        self._reinvite_by: float | None = None
        self._offer: tuple[str, Request] | None = None
        "The peer's request that awaits our answer, with its transaction."
        self._requests: dict[str, Request] = {}
        "Those that the application has to answer."
        self._referrals = Referrals(self._link)
        self._bye = ""

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
            and not self._reinvite
            and not self._referrals
        )

    @property
    def dialog(self) -> Dialog:
        """The dialog that counts; raises LocalSipError before there is one."""
        return self._link.dialog

    def dialog_with(self, remote_tag: str | None) -> Dialog | None:
        """The dialog, early or confirmed, whose other end has that tag."""
        dialog = self._link.current
        return dialog if dialog and dialog.remote_tag == remote_tag else None

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

    def reoffer(self, body: bytes, headers: Lines, now: float) -> None:
        """Send a re-INVITE as soon as there may be one."""
        if self._ask(Input.REOFFER) is None:
            return
        if not body:
            raise LocalSipError("An offer needs a body.")
        Headers(headers)  # a broken one must fail now, and not when the offer goes
        self._renegotiation.want(Offer(body, tuple(headers)))
        self._offer_if_due(now)

    def accept_offer(self, body: bytes, now: float) -> None:
        """Answer the peer's offer; nothing if it was withdrawn."""
        if self._offer is None:
            return
        key, request = self._offer
        response = self._user.respond(
            key, request, 200, now, headers=self._link.target_lines, body=body
        )
        self.dialog.refresh(request)
        is_invite = request.method == "INVITE"
        if is_invite:
            self._acceptances.add(key, response, now)
        asked = is_invite and not request.body
        self._offer_done(now, with_offer=asked and bool(body))

    def refuse_offer(self, status: int, headers: Lines, now: float) -> None:
        """Refuse the peer's offer; nothing if it was withdrawn."""
        if not 300 <= status < 700:
            raise LocalSipError("A refusal is a 300-699.")
        if self._offer is not None:
            key, request = self._offer
            self._user.respond(key, request, status, now, headers=headers)
            self._offer_done(now)

    def answer_request(
        self, key: str, status: int, headers: Lines, body: bytes, now: float
    ) -> None:
        """Answer a RequestInDialog; nothing if that is done."""
        if not 200 <= status < 700:
            raise LocalSipError("A final response is a 200-699.")
        request = self._requests.get(key)
        if request is not None:
            self._user.respond(key, request, status, now, headers=headers, body=body)
            del self._requests[key]

    def accept_refer(self, key: str, now: float) -> None:
        """Answer a ReferReceived 202; nothing if that is done."""
        self._referrals.accept(key, now)

    def refuse_refer(self, key: str, status: int, now: float) -> None:
        """Refuse a ReferReceived; nothing if that is done."""
        self._referrals.refuse(key, status, now)

    def notify_refer(self, key: str, status: int, now: float) -> None:
        """Tell what became of an accepted ReferReceived, also after the call's end."""
        self._referrals.notify(key, status, now)

    def resend(self, key: str, request: Request) -> bool:
        """The peer wants what was sent under `key` once more, with credentials.

        False if it is not wanted any more; else `request` has its new CSeq.
        """
        if key == self._reinvite and (self.over or self._reinvite_by is None):
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
        elif self._referrals.notified(key, response.status, now):
            pass
        elif response.status < 300:
            self._reoffer_answered(response, now)
        else:
            self._reoffer_refused(response.status, now)

    def transaction_failed(self, key: str, status: int, now: float) -> None:
        """A transaction has failed, which is as good as the response `status`."""
        if key == self._bye:
            self._user.disown(key)
            self._bye_done()
        elif key == self._reinvite:
            self._user.disown(key)
            self._reoffer_refused(status, now)
        elif self._referrals.failed(key, status, now):
            self._user.disown(key)
        elif key in self._requests:
            self._user.disown(key)
            del self._requests[key]
        elif self._offer is not None and self._offer[1].method == "UPDATE":
            # An INVITE server transaction survives its transport (RFC 6026).
            self._user.disown(key)
            self._offer_done(now)

    def receive_2xx_again(self, response: Response, now: float, *, stray: bool) -> None:
        """A 2xx to an INVITE of ours beyond the first (section 13.2.2.4).

        `stray`: its transaction is gone, which only a UAC minds.
        """
        ack = self._acks.get((response.to.tag, response.cseq.number))
        if ack is not None:
            self._user.send_ack(ack[0], ack[1], now)

    # -- what the peer sends ----------------------------------------------------

    def receive_cancel(self, key: str, now: float) -> None:
        """The peer cancels its re-INVITE."""
        if self._offer is not None and self._offer[0] == key:
            self._user.respond(*self._offer, 487, now)
            self._offer_done(now)

    def receive_ack(self, ack: Request, now: float) -> None:
        """An ACK that no transaction took: for a 2xx, or for nothing we sent."""
        if self.dialog_with(ack.from_.tag) is None:
            return
        if not self._acceptances.acknowledge(ack.cseq.number):
            return
        self._renegotiation.acknowledged()
        self._acknowledged(self._step(Input.RECV_ACK), ack, now)

    def receive_request(
        self, key: str, request: Request, now: float, *, pass_up: bool
    ) -> None:
        """A request in one of our dialogs, other than ACK and CANCEL.

        `pass_up`: the application wants to answer those of that method.
        """
        dialog = self.dialog_with(request.from_.tag)
        method = request.method
        if dialog is None or (self.state in MORTAL and method != "BYE"):
            self._user.respond(key, request, 481, now)
        elif not dialog.is_in_order(request):
            self._user.respond(key, request, 500, now)
        elif refusal := inspect_in_dialog(
            request, allow=self._user.allow, supported=self._user.extensions
        ):
            self._user.respond(
                key, request, refusal.status, now, headers=refusal.headers
            )
        elif method == "BYE":
            self._receive_bye(key, request, now)
        elif method == "INVITE" or (method == "UPDATE" and request.body):
            self._receive_offer(key, request, now)
        elif method == "UPDATE":
            dialog.refresh(request)
            self._user.respond(key, request, 200, now, headers=self._link.target_lines)
            self._user.emit(TargetRefreshed(self.id, request))
        elif method == "REFER":
            self._receive_refer(key, request, now)
        elif method == "SUBSCRIBE":
            self._referrals.receive_subscribe(key, request, now)
        elif pass_up:
            self._pass_up(key, request, now)
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

    def _receive_offer(self, key: str, request: Request, now: float) -> None:
        action = self._step(Input.RECV_OFFER)
        status: int | None
        if action is None:
            status = 481
        elif action is not Action.NEGOTIATE:
            status = 491 if action is Action.REFUSE_491 else 500
        elif len(self._acceptances) >= MAX_UNACKNOWLEDGED:
            status = 500
        else:
            status = self._renegotiation.receive_offer()
        if status is None:
            self._user.own(key, self.id)
            self._offer = key, request
            self._user.emit(OfferReceived(self.id, request.body or None, request))
        else:
            lines = (self._user.retry_after(),) if status == 500 else ()
            self._user.respond(key, request, status, now, headers=lines)

    def _receive_refer(self, key: str, request: Request, now: float) -> None:
        if self._step(Input.RECV_REFER) is None:
            # What nobody has answered yet cannot be transferred yet.
            self._link.respond(key, request, 500, now)
        else:
            self._referrals.receive(key, request, now)

    def _pass_up(self, key: str, request: Request, now: float) -> None:
        if len(self._requests) >= MAX_REQUESTS:
            lines = (self._user.retry_after(),)
            self._user.respond(key, request, 500, now, headers=lines)
            return
        self._user.own(key, self.id)
        self._requests[key] = request
        self._user.emit(RequestInDialog(self.id, key, request))

    # -- time -------------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        times = [
            self._acceptances.get_timer(),
            self._referrals.get_timer(),
            self._reinvite_by,
        ]
        if self._may_offer:
            times.append(self._renegotiation.get_timer())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        again, given_up = self._acceptances.handle_timer(now)
        for key, response in again:
            self._user.respond_again(key, response, now)
        if given_up:
            self._no_ack(now)
        if self._reinvite_by is not None and now >= self._reinvite_by:
            self._reinvite_by = None
            self._user.cancel(self._reinvite, now, ())
        self._referrals.handle_timer(now)
        self._offer_if_due(now)

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

    def _acknowledge(
        self, dialog: Dialog, number: int, now: float, *, body: bytes = b""
    ) -> None:
        """Send the ACK for a 2xx, and keep it for when the 2xx comes again."""
        ack, flow = dialog.ack(number, body=body), dialog.next_hop(self._link.flow)
        self._user.send_ack(ack, flow, now)
        while len(self._acks) >= MAX_ACKS:
            del self._acks[next(iter(self._acks))]
        self._acks[dialog.remote_tag, number] = ack, flow

    def _send_bye(self, headers: Lines, now: float) -> None:
        self._bye = self._link.send("BYE", now, headers=headers)

    def _bye_done(self) -> None:
        if self._step(Input.BYE_DONE) is Action.TELL:
            self._user.emit(Ended(self.id, EndReason.LOCAL, None))

    def _abandon(self, now: float) -> None:
        """Answer what is open of the peer's (section 15.1.2), cancel what is ours."""
        if self._offer is not None:
            self._user.respond(*self._offer, 487, now)
            self._offer = None
        for key, request in self._requests.items():
            self._user.respond(key, request, 487, now)
        self._requests.clear()
        self._referrals.abandon(now)
        if self._reinvite:
            self._reinvite_by = None
            self._user.cancel(self._reinvite, now, ())

    @property
    def _may_offer(self) -> bool:
        # Section 14.1: not while an INVITE of the peer awaits our final response,
        # or its ACK.
        return self.state is State.CONFIRMED and not self._acceptances

    def _offer_if_due(self, now: float) -> None:
        offer = self._renegotiation.take_due(now) if self._may_offer else None
        if offer is None:
            return
        lines = (self._user.allow, *offer.headers)
        self._reinvite = self._link.send("INVITE", now, headers=lines, body=offer.body)
        self._reinvite_by = now + self._user.timers.b

    def _offer_done(self, now: float, *, with_offer: bool = False) -> None:
        """The peer's offer has its final response."""
        self._offer = None
        self._renegotiation.answer(with_offer=with_offer)
        self._offer_if_due(now)

    def _reoffer_answered(self, response: Response, now: float) -> None:
        self._reinvite, self._reinvite_by = "", None
        # RFC 5407 section 3.2.3: also when a BYE is under way.
        self._acknowledge(self.dialog, response.cseq.number, now)
        self._renegotiation.answered()
        if not self.over:
            self.dialog.refresh(response)
            self._user.emit(OfferAnswered(self.id, response))
            self._offer_if_due(now)

    def _reoffer_refused(self, status: int, now: float) -> None:
        self._reinvite, self._reinvite_by = "", None
        again = self._renegotiation.refused(status, now)
        if self.over:
            return
        if status in {408, 481}:
            # Section 12.2.1.2: the peer has lost the dialog.
            self._step(Input.DIALOG_FAILED)
            self._clear(EndReason.DIALOG_FAILED, now)
        elif not again:
            self._user.emit(OfferRefused(self.id, status))
            self._offer_if_due(now)
