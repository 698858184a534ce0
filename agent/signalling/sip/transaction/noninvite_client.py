"""Non-INVITE client transaction: RFC 3261 section 17.1.2."""

from collections.abc import Mapping
from enum import auto
from typing import Final

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
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Input(Symbol):
    """What can happen to it."""

    SEND_REQUEST = auto()
    RECV_1XX = auto()
    RECV_200_699 = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_K = auto()
    TRANSPORT_ERROR = auto()


class Action(Symbol):
    """What it does about it."""

    NOTHING = auto()
    SEND = auto()
    BACK_OFF = auto()
    RETRANSMIT_SLOWLY = auto()
    PASS = auto()
    COMPLETE = auto()
    TIME_OUT = auto()
    FAIL = auto()


# What is not in this table changes nothing. scripts/draw-states reads it.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.INITIAL, Input.SEND_REQUEST): (Action.SEND, State.TRYING),
    (State.TRYING, Input.TIMER_E): (Action.BACK_OFF, State.TRYING),
    (State.TRYING, Input.TIMER_F): (Action.TIME_OUT, State.TERMINATED),
    (State.TRYING, Input.TRANSPORT_ERROR): (Action.FAIL, State.TERMINATED),
    (State.TRYING, Input.RECV_1XX): (Action.PASS, State.PROCEEDING),
    (State.TRYING, Input.RECV_200_699): (Action.COMPLETE, State.COMPLETED),
    # A 1xx stops neither timer: it was not sent reliably, and the final response
    # will not be either. It only slows the retransmissions to T2.
    (State.PROCEEDING, Input.TIMER_E): (Action.RETRANSMIT_SLOWLY, State.PROCEEDING),
    (State.PROCEEDING, Input.TIMER_F): (Action.TIME_OUT, State.TERMINATED),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (Action.FAIL, State.TERMINATED),
    (State.PROCEEDING, Input.RECV_1XX): (Action.PASS, State.PROCEEDING),
    (State.PROCEEDING, Input.RECV_200_699): (Action.COMPLETE, State.COMPLETED),
    (State.COMPLETED, Input.RECV_200_699): (Action.NOTHING, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_K): (Action.NOTHING, State.TERMINATED),
}


class NonInviteClientTransaction(Machine[State, Input, Action]):
    """Sends one request other than INVITE and ACK."""

    __slots__ = ("request",)

    def __init__(
        self, request: Request, *, reliable: bool, timers: Timers = DEFAULT_TIMERS
    ) -> None:
        super().__init__(TRANSITIONS, State.INITIAL, reliable=reliable, timers=timers)
        self.request = request
        "With our Via on top; not to be changed any more."

    def start(self, now: float) -> None:
        """Send the request; raises LocalSipError if it cannot be, or was, sent."""
        self._data = self.request.to_bytes()
        if self._step(Input.SEND_REQUEST, now) is None:
            raise self._refuse(Input.SEND_REQUEST)

    def receive(self, response: Response, now: float) -> None:
        """Take a response that matches (section 17.1.3)."""
        input_ = Input.RECV_1XX if response.status < 200 else Input.RECV_200_699
        if self._step(input_, now) in _PASSING:
            self._events.append(ResponsePassed(response))

    @property
    def unanswered(self) -> bool:
        """Whether no response has come."""
        return self.state is State.TRYING

    def transport_failed(self, now: float) -> None:
        """What was sent last did not leave, or came back."""
        self._step(Input.TRANSPORT_ERROR, now)

    def _act(self, action: Action, now: float) -> None:
        if action is Action.SEND:
            self._outbox.append(self._data)
            self._set(Input.TIMER_F, self._timers.f, now)
            if not self._reliable:
                self._set(Input.TIMER_E, self._timers.e, now)
        elif action is Action.BACK_OFF:
            self._outbox.append(self._data)
            self._back_off(Input.TIMER_E, now, limit=self._timers.t2)
        elif action is Action.RETRANSMIT_SLOWLY:
            self._outbox.append(self._data)
            self._set(Input.TIMER_E, self._timers.t2, now)
        elif action is Action.COMPLETE:
            self._set(Input.TIMER_K, self._timers.k(reliable=self._reliable), now)
        elif action is Action.TIME_OUT:
            self._fail(FailureReason.TIMEOUT)
        elif action is Action.FAIL:
            self._fail(FailureReason.TRANSPORT)


_PASSING: Final = frozenset({Action.PASS, Action.COMPLETE})
