"""A call leg that we began: RFC 3261 sections 9.1 and 13.2."""

from typing import Final

from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.events import (
    Accepted,
    Ended,
    EndReason,
    Progressed,
    Refused,
    SessionId,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.session import Session
from agent.signalling.sip.session_states import Action, Input, State
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri

MAX_FORKS: Final = 16
"Early dialogs, and surplus answers, of one INVITE: a hunt group, not a flood."


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
        now: float,
    ) -> None:
        """Sends `invite`, whose From has our tag. Raises LocalSipError."""
        super().__init__(
            id_,
            user,
            invite,
            flow,
            state=State.CALLING,
            local_tag=invite.from_.tag or "",
            contact=contact,
        )
        self._early: dict[str | None, Dialog] = {}
        self._surplus = 0
        self._acknowledge_by: float | None = None
        self._linger: float | None = None
        "Until when the peer may send its 2xx again."
        self._key = user.send_request(invite, flow, now, owner=id_)

    @property
    def finished(self) -> bool:
        return super().finished and self._linger is None

    def dialog_with(self, remote_tag: str | None) -> Dialog | None:
        return super().dialog_with(remote_tag) or self._early.get(remote_tag)

    def acknowledge(self, body: bytes, now: float) -> None:
        """Send the ACK with the answer to the offer that came in the 2xx."""
        if self._ask(Input.ACKNOWLEDGE) is not None:
            number = self.invite.cseq.number
            self._acknowledge(self.dialog, number, now, body=body)
            self._step(Input.ACKNOWLEDGE)
            self._acknowledge_by = None

    def resend(self, key: str, request: Request) -> bool:
        if key != self._key:
            return super().resend(key, request)
        if self.over:
            return False
        self.invite = request
        self._early.clear()
        return True

    def receive_response(self, key: str, response: Response, now: float) -> None:
        if key != self._key:
            super().receive_response(key, response, now)
        elif response.status < 200:
            self._receive_provisional(response)
        else:
            self._user.disown(key)
            if response.status < 300:
                self._answered(response, now)
            else:
                self._refused(response.status, response, now)

    def transaction_failed(self, key: str, status: int, now: float) -> None:
        if key != self._key:
            super().transaction_failed(key, status, now)
        else:
            self._user.disown(key)
            self._refused(status, None, now)

    def receive_2xx_again(self, response: Response, now: float, *, stray: bool) -> None:
        if stray or not self._is_surplus(response):
            super().receive_2xx_again(response, now, stray=stray)
        elif self._surplus < MAX_FORKS:
            # Another branch of a fork was answered too: nobody is there for it.
            self._surplus += 1
            dialog = Dialog.uac(self.invite, response, contact=self._link.contact)
            self._acknowledge(dialog, response.cseq.number, now)
            hop = dialog.next_hop(self._link.flow)
            self._user.send_request(dialog.request("BYE"), hop, now, owner=None)

    def get_timer(self) -> float | None:
        times = (super().get_timer(), self._linger, self._acknowledge_by)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        super().handle_timer(now)
        if self._acknowledge_by is not None and now >= self._acknowledge_by:
            self._acknowledge_by = None
            if self._step(Input.NO_ACK) is Action.ACKNOWLEDGE_AND_BYE:
                self._acknowledge_and_bye((), now)
                self._user.emit(Ended(self.id, EndReason.NO_ACK, None))
        if self._linger is not None and now >= self._linger:
            self._linger = None

    def _is_surplus(self, response: Response) -> bool:
        name = response.to.tag, response.cseq.number
        return (
            name[0] != self.dialog.remote_tag
            and name[1] == self.invite.cseq.number
            and name not in self._acks
        )

    def _hang_up_early(self, action: Action, headers: Lines, now: float) -> None:
        if action is Action.CANCEL:
            self._user.cancel(self._key, now, headers)
        else:
            self._acknowledge_and_bye(headers, now)

    def _receive_provisional(self, response: Response) -> None:
        if response.status == 100:
            return
        tag = response.to.tag
        if tag is not None and tag not in self._early and len(self._early) < MAX_FORKS:
            early = Dialog.uac(self.invite, response, contact=self._link.contact)
            self._early[tag] = early
        if self._step(Input.RECV_1XX) is Action.TELL:
            self._user.emit(Progressed(self.id, response))

    def _answered(self, response: Response, now: float) -> None:
        """The first 2xx, which wins."""
        # Section 13.2.2.4: the route set is computed anew.
        dialog = Dialog.uac(self.invite, response, contact=self._link.contact)
        early = self._early.get(dialog.remote_tag)
        if early is not None:
            dialog.remote_cseq = early.remote_cseq
        self._early.clear()
        self._link.current = dialog
        self._linger = now + self._user.timers.m
        offered = bool(response.body) and not self.invite.body
        action = self._step(Input.RECV_2XX_OFFER if offered else Input.RECV_2XX)
        if action is Action.AWAIT_ACKNOWLEDGE:
            self._acknowledge_by = now + self._user.timers.h
            self._user.emit(Accepted(self.id, response))
        elif action is Action.ACKNOWLEDGE:
            self._acknowledge(dialog, self.invite.cseq.number, now)
            self._user.emit(Accepted(self.id, response))
        else:
            self._acknowledge_and_bye((), now)
            self._user.emit(Refused(self.id, 487, None))

    def _acknowledge_and_bye(self, headers: Lines, now: float) -> None:
        self._acknowledge_by = None
        self._abandon(now)
        self._acknowledge(self.dialog, self.invite.cseq.number, now)
        self._send_bye(headers, now)

    def _refused(self, status: int, response: Response | None, now: float) -> None:
        self._abandon(now)
        self._step(Input.RECV_FAILURE)
        self._early.clear()
        self._user.emit(Refused(self.id, status, response))
