"""INVITE server transaction: RFC 3261 section 17.2.1, RFC 6026 section 7.1."""

from collections.abc import Mapping
from enum import auto
from typing import Final

from agent.signalling.sip.message import Request
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers
from agent.signalling.sip.transaction.machine import (
    AckPassed,
    FailureReason,
    Machine,
)


class State(Symbol):
    """Where the transaction stands; it begins with the INVITE received."""

    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(Symbol):
    """What can happen to it."""

    SEND_1XX = auto()
    SEND_2XX = auto()
    SEND_300_699 = auto()
    RECV_INVITE = auto()
    RECV_ACK = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_L = auto()
    TRANSPORT_ERROR = auto()


class Action(Symbol):
    """What it does about it."""

    NOTHING = auto()
    SEND = auto()
    RETRANSMIT = auto()
    BACK_OFF = auto()
    ACCEPT = auto()
    COMPLETE = auto()
    PASS_ACK = auto()
    CONFIRM = auto()
    TIME_OUT = auto()
    REPORT = auto()


# What is not in this table changes nothing. scripts/draw-states reads it.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.PROCEEDING, Input.RECV_INVITE): (Action.RETRANSMIT, State.PROCEEDING),
    (State.PROCEEDING, Input.SEND_1XX): (Action.SEND, State.PROCEEDING),
    (State.PROCEEDING, Input.SEND_2XX): (Action.ACCEPT, State.ACCEPTED),
    (State.PROCEEDING, Input.SEND_300_699): (Action.COMPLETE, State.COMPLETED),
    # RFC 6026 section 7.1: the user is told, but the network may recover, so a
    # failed transport ends this transaction no more.
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (Action.REPORT, State.PROCEEDING),
    # RFC 6026 section 7.1: a retransmitted INVITE is absorbed, retransmitting the
    # 2xx is the transaction user's business, and only timer L ends the state.
    (State.ACCEPTED, Input.RECV_INVITE): (Action.NOTHING, State.ACCEPTED),
    (State.ACCEPTED, Input.SEND_2XX): (Action.SEND, State.ACCEPTED),
    (State.ACCEPTED, Input.RECV_ACK): (Action.PASS_ACK, State.ACCEPTED),
    (State.ACCEPTED, Input.TRANSPORT_ERROR): (Action.REPORT, State.ACCEPTED),
    (State.ACCEPTED, Input.TIMER_L): (Action.NOTHING, State.TERMINATED),
    (State.COMPLETED, Input.RECV_INVITE): (Action.RETRANSMIT, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_G): (Action.BACK_OFF, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_H): (Action.TIME_OUT, State.TERMINATED),
    (State.COMPLETED, Input.RECV_ACK): (Action.CONFIRM, State.CONFIRMED),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (Action.REPORT, State.COMPLETED),
    (State.CONFIRMED, Input.RECV_INVITE): (Action.NOTHING, State.CONFIRMED),
    (State.CONFIRMED, Input.RECV_ACK): (Action.NOTHING, State.CONFIRMED),
    (State.CONFIRMED, Input.TIMER_I): (Action.NOTHING, State.TERMINATED),
}


class InviteServerTransaction(Machine[State, Input, Action]):
    """Answers one INVITE, and absorbs its retransmissions and ACK.

    In PROCEEDING nothing but the user bounds how long it lasts.
    """

    __slots__ = ()

    def __init__(self, *, reliable: bool, timers: Timers = DEFAULT_TIMERS) -> None:
        super().__init__(
            TRANSITIONS, State.PROCEEDING, reliable=reliable, timers=timers
        )

    def send(self, status: int, data: bytes, now: float) -> None:
        """Send the response of that status.

        Raises LocalSipError, and sends nothing, where the state does not allow it:
        after a final response only further 2xx, and these only after a 2xx.
        """
        if status < 200:
            input_ = Input.SEND_1XX
        elif status < 300:
            input_ = Input.SEND_2XX
        else:
            input_ = Input.SEND_300_699
        if (self.state, input_) not in TRANSITIONS:
            raise self._refuse(input_)
        self._data = data
        self._step(input_, now)

    def receive(self, request: Request, now: float) -> None:
        """Take a retransmission of the INVITE, or its ACK (section 17.2.3)."""
        input_ = Input.RECV_ACK if request.method == "ACK" else Input.RECV_INVITE
        if self._step(input_, now) is Action.PASS_ACK:
            self._events.append(AckPassed(request))

    def transport_failed(self, now: float) -> None:
        """What was sent last did not leave, or came back."""
        self._step(Input.TRANSPORT_ERROR, now)

    def _act(self, action: Action, now: float) -> None:
        if action in _SENDING and self._data:
            self._outbox.append(self._data)
        if action is Action.BACK_OFF:
            self._back_off(Input.TIMER_G, now, limit=self._timers.t2)
        elif action is Action.ACCEPT:
            self._set(Input.TIMER_L, self._timers.l, now)
        elif action is Action.COMPLETE:
            self._set(Input.TIMER_H, self._timers.h, now)
            if not self._reliable:
                self._set(Input.TIMER_G, self._timers.g, now)
        elif action is Action.CONFIRM:
            self._set(Input.TIMER_I, self._timers.i(reliable=self._reliable), now)
        elif action is Action.TIME_OUT:
            self._fail(FailureReason.NO_ACK)
        elif action is Action.REPORT:
            self._fail(FailureReason.TRANSPORT)


_SENDING: Final = frozenset(
    {
        Action.SEND,
        Action.RETRANSMIT,
        Action.BACK_OFF,
        Action.ACCEPT,
        Action.COMPLETE,
    }
)
