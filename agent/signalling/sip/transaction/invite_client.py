"""INVITE client transaction: RFC 3261 section 17.1.1, RFC 6026 section 7.2."""

from collections.abc import Mapping, Sequence
from enum import auto
from typing import Final

from agent.signalling.sip.headers import CSeq, Headers
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers
from agent.signalling.sip.transaction.machine import (
    FailureReason,
    Machine,
    ResponsePassed,
)


class State(Symbol):
    """Where the transaction stands."""

    INITIAL = auto()
    CALLING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Input(Symbol):
    """What can happen to it."""

    SEND_INVITE = auto()
    CANCELLED = auto()
    "A CANCEL for it was sent."
    RECV_1XX = auto()
    RECV_2XX = auto()
    RECV_300_699 = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_CANCEL = auto()
    "64*T1 after CANCELLED; the RFC gives it no letter."
    TIMER_D = auto()
    TIMER_M = auto()
    TRANSPORT_ERROR = auto()


class Action(Symbol):
    """What it does about it."""

    NOTHING = auto()
    SEND = auto()
    RETRANSMIT = auto()
    AWAIT_FINAL = auto()
    PASS = auto()
    ACCEPT = auto()
    COMPLETE = auto()
    ACKNOWLEDGE = auto()
    TIME_OUT = auto()
    FAIL = auto()


# What is not in this table changes nothing. scripts/draw-states reads it.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.INITIAL, Input.SEND_INVITE): (Action.SEND, State.CALLING),
    (State.CALLING, Input.TIMER_A): (Action.RETRANSMIT, State.CALLING),
    (State.CALLING, Input.TIMER_B): (Action.TIME_OUT, State.TERMINATED),
    (State.CALLING, Input.TRANSPORT_ERROR): (Action.FAIL, State.TERMINATED),
    (State.CALLING, Input.RECV_1XX): (Action.PASS, State.PROCEEDING),
    (State.CALLING, Input.RECV_2XX): (Action.ACCEPT, State.ACCEPTED),
    (State.CALLING, Input.RECV_300_699): (Action.COMPLETE, State.COMPLETED),
    (State.PROCEEDING, Input.RECV_1XX): (Action.PASS, State.PROCEEDING),
    (State.PROCEEDING, Input.RECV_2XX): (Action.ACCEPT, State.ACCEPTED),
    (State.PROCEEDING, Input.RECV_300_699): (Action.COMPLETE, State.COMPLETED),
    # RFC 3261 section 9.1: what was cancelled and still has no final response
    # 64*T1 later is over.
    (State.PROCEEDING, Input.CANCELLED): (Action.AWAIT_FINAL, State.PROCEEDING),
    (State.PROCEEDING, Input.TIMER_CANCEL): (Action.TIME_OUT, State.TERMINATED),
    # RFC 6026 section 7.2: each 2xx, of whatever branch of a fork, is the
    # transaction user's to acknowledge, and only timer M ends the state.
    (State.ACCEPTED, Input.RECV_2XX): (Action.PASS, State.ACCEPTED),
    (State.ACCEPTED, Input.TIMER_M): (Action.NOTHING, State.TERMINATED),
    (State.COMPLETED, Input.RECV_300_699): (Action.ACKNOWLEDGE, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_D): (Action.NOTHING, State.TERMINATED),
    # Section 17.1.1.2 would tell the user. It had its final response already, and
    # a transaction ends for it but once.
    (State.COMPLETED, Input.TRANSPORT_ERROR): (Action.NOTHING, State.TERMINATED),
}


class InviteClientTransaction(Machine[State, Input, Action]):
    """Sends one INVITE, and the ACK for a final response other than 2xx.

    In PROCEEDING only the user's CANCEL bounds how long it lasts.
    """

    __slots__ = ("request",)

    def __init__(
        self, request: Request, *, reliable: bool, timers: Timers = DEFAULT_TIMERS
    ) -> None:
        super().__init__(TRANSITIONS, State.INITIAL, reliable=reliable, timers=timers)
        self.request = request
        "With our Via on top; not to be changed any more."

    def start(self, now: float) -> None:
        """Send the INVITE. Raises LocalSipError if it cannot be written or was sent."""
        self._data = self.request.to_bytes()
        if self._step(Input.SEND_INVITE, now) is None:
            raise self._refuse(Input.SEND_INVITE)

    def receive(self, response: Response, now: float) -> None:
        """Take a response that matches (section 17.1.3)."""
        if response.status < 200:
            input_ = Input.RECV_1XX
        elif response.status < 300:
            input_ = Input.RECV_2XX
        else:
            input_ = Input.RECV_300_699
        action = self._step(input_, now)
        if action in _PASSING:
            self._events.append(ResponsePassed(response))
        if action in _ACKNOWLEDGING:
            self._outbox.append(build_ack(self.request, response).to_bytes())

    def cancelled(self, now: float) -> None:
        """Wait 64*T1 for the final response, now that a CANCEL was sent."""
        self._step(Input.CANCELLED, now)

    @property
    def unanswered(self) -> bool:
        """Whether no response has come."""
        return self.state is State.CALLING

    def transport_failed(self, now: float) -> None:
        """What was sent last did not leave, or came back."""
        self._step(Input.TRANSPORT_ERROR, now)

    def _act(self, action: Action, now: float) -> None:
        if action is Action.SEND:
            self._outbox.append(self._data)
            self._set(Input.TIMER_B, self._timers.b, now)
            if not self._reliable:
                self._set(Input.TIMER_A, self._timers.a, now)
        elif action is Action.RETRANSMIT:
            self._outbox.append(self._data)
            self._back_off(Input.TIMER_A, now, limit=self._timers.b)
        elif action is Action.AWAIT_FINAL:
            self._set(Input.TIMER_CANCEL, 64 * self._timers.t1, now)
        elif action is Action.ACCEPT:
            self._set(Input.TIMER_M, self._timers.m, now)
        elif action is Action.COMPLETE:
            self._set(Input.TIMER_D, self._timers.d(reliable=self._reliable), now)
        elif action is Action.TIME_OUT:
            self._fail(FailureReason.TIMEOUT)
        elif action is Action.FAIL:
            self._fail(FailureReason.TRANSPORT)


_PASSING: Final = frozenset({Action.PASS, Action.ACCEPT, Action.COMPLETE})
_ACKNOWLEDGING: Final = frozenset({Action.COMPLETE, Action.ACKNOWLEDGE})


def build_ack(invite: Request, response: Response) -> Request:
    """The ACK for a final response other than 2xx (section 17.1.1.3)."""
    ack = _same_branch(invite, "ACK")
    if (to := response.headers.get("To")) is not None:
        ack.headers.set("To", to)
    return ack


def build_cancel(invite: Request, headers: Sequence[tuple[str, str]] = ()) -> Request:
    """The CANCEL for a pending INVITE (section 9.1), with more headers if given.

    Raises LocalSipError for a header that would not stay one line.
    """
    cancel = _same_branch(invite, "CANCEL")
    for name, value in headers:
        cancel.headers.add(name, value)
    return cancel


def _same_branch(invite: Request, method: str) -> Request:
    headers = Headers([("Via", str(invite.top_via)), ("Max-Forwards", "70")])
    for name in ("Route", "From", "To", "Call-ID"):
        for value in invite.headers.get_all(name):
            headers.add(name, value)
    headers.add("CSeq", str(CSeq(invite.cseq.number, method)))
    return Request(method, invite.uri, headers)
