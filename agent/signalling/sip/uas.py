"""A call leg that the peer began: RFC 3261 sections 9.2 and 13.3."""

from typing import Final

from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import Cancelled, SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.session import Session
from agent.signalling.sip.session_states import Action, Input, State
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uri import Uri

RING_INTERVAL: Final = 60.0
"Seconds: proxies give up what is silent for three minutes (section 13.3.1.1)."


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
        local = flow.local
        contact = Uri("sip", invite.uri.user, local.host, local.port)
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
        self._provisional: Response | None = None
        self._ring_at: float | None = None
        self._bye_headers: Lines = ()
        user.own(key, id_)

    def ring(self, status: int, body: bytes, headers: Lines, now: float) -> None:
        """Send a provisional response, and again each minute."""
        if self._ask(Input.RING) is None:
            return
        if not 100 < status < 200:
            raise LocalSipError("A provisional response is a 101-199.")
        lines = (*self._link.target_lines, *headers)
        self._provisional = self._respond(status, now, headers=lines, body=body)
        self._ring_at = now + RING_INTERVAL

    def accept(self, contact: Uri, body: bytes, headers: Lines, now: float) -> None:
        """Send the 2xx, and again until its ACK."""
        if self._ask(Input.ACCEPT) is None:
            return
        self._link.contact = self.dialog.contact = contact
        lines = (*self._link.target_lines, *headers)
        response = self._respond(200, now, headers=lines, body=body)
        self._step(Input.ACCEPT)
        self._ring_at = None
        self._acceptances.add(self._key, response, now)
        if body and not self.invite.body:
            self._renegotiation.answer(with_offer=True)

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
        self._ring_at = None

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
        times = (super().get_timer(), self._ring_at)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        super().handle_timer(now)
        if (
            self._provisional is not None
            and self._ring_at is not None
            and now >= self._ring_at
        ):
            self._user.respond_again(self._key, self._provisional, now)
            self._ring_at = now + RING_INTERVAL

    def _hang_up_early(self, action: Action, headers: Lines, now: float) -> None:
        self._abandon(now)
        if action is Action.HOLD_BYE:
            self._bye_headers = headers
        else:
            # Not 603, which would keep a proxy from trying anyone else.
            self._respond(480, now, headers=headers)
            self._ring_at = None

    def _receive_bye(self, key: str, request: Request, now: float) -> None:
        incoming = self.state is State.INCOMING
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

    def _terminate_invite(self, now: float) -> None:
        """The peer gave up before our final response."""
        self._abandon(now)
        self._respond(487, now)
        self._ring_at = None
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
