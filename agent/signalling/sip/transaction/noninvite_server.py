"""Non-INVITE server transaction: RFC 3261 section 17.2.2, RFC 4320."""

from collections.abc import Mapping
from enum import auto
from typing import Final

from agent.signalling.sip.message import Request
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers
from agent.signalling.sip.transaction.machine import FailureReason, Machine


class State(Symbol):
    """Where the transaction stands."""

    INITIAL = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Input(Symbol):
    """What can happen to it."""

    SEND_1XX = auto()
    SEND_200_699 = auto()
    RECV_REQUEST = auto()
    TIMER_F = auto()
    "The client's timer F: it awaits no response any more."
    TIMER_J = auto()
    TRANSPORT_ERROR = auto()


class Action(Symbol):
    """What it does about it."""

    NOTHING = auto()
    BEGIN = auto()
    SEND = auto()
    RETRANSMIT = auto()
    COMPLETE = auto()
    TIME_OUT = auto()
    FAIL = auto()


# What is not in this table changes nothing. scripts/draw-states reads it.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.INITIAL, Input.RECV_REQUEST): (Action.BEGIN, State.TRYING),
    (State.TRYING, Input.RECV_REQUEST): (Action.NOTHING, State.TRYING),
    (State.TRYING, Input.SEND_1XX): (Action.SEND, State.PROCEEDING),
    (State.TRYING, Input.SEND_200_699): (Action.COMPLETE, State.COMPLETED),
    # RFC 4320 section 3: a response later than the client's timer F harms more
    # than it helps, so an unanswered transaction is of no use after that.
    (State.TRYING, Input.TIMER_F): (Action.TIME_OUT, State.TERMINATED),
    (State.PROCEEDING, Input.RECV_REQUEST): (Action.RETRANSMIT, State.PROCEEDING),
    (State.PROCEEDING, Input.SEND_1XX): (Action.SEND, State.PROCEEDING),
    (State.PROCEEDING, Input.SEND_200_699): (Action.COMPLETE, State.COMPLETED),
    (State.PROCEEDING, Input.TIMER_F): (Action.TIME_OUT, State.TERMINATED),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (Action.FAIL, State.TERMINATED),
    (State.COMPLETED, Input.RECV_REQUEST): (Action.RETRANSMIT, State.COMPLETED),
    # Section 17.2.2: a second final response of the user is discarded.
    (State.COMPLETED, Input.SEND_200_699): (Action.NOTHING, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_J): (Action.NOTHING, State.TERMINATED),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (Action.FAIL, State.TERMINATED),
}


class NonInviteServerTransaction(Machine[State, Input, Action]):
    """Answers one request other than INVITE and ACK."""

    __slots__ = ()

    def __init__(self, *, reliable: bool, timers: Timers = DEFAULT_TIMERS) -> None:
        super().__init__(TRANSITIONS, State.INITIAL, reliable=reliable, timers=timers)

    def send(self, status: int, data: bytes, now: float) -> None:
        """Send the response of that status.

        Raises LocalSipError, and sends nothing, for a 1xx after a final response
        and for anything before the request. A second final response is discarded.
        """
        input_ = Input.SEND_1XX if status < 200 else Input.SEND_200_699
        if (self.state, input_) not in TRANSITIONS:
            raise self._refuse(input_)
        if self.state is not State.COMPLETED:
            self._data = data
        self._step(input_, now)

    def receive(self, _request: Request, now: float) -> None:
        """Take the request, or a retransmission of it."""
        self._step(Input.RECV_REQUEST, now)

    def transport_failed(self, now: float) -> None:
        """What was sent last did not leave, or came back."""
        self._step(Input.TRANSPORT_ERROR, now)

    def _act(self, action: Action, now: float) -> None:
        if action is Action.BEGIN:
            self._set(Input.TIMER_F, self._timers.f, now)
        elif action in _SENDING:
            self._outbox.append(self._data)
        elif action is Action.TIME_OUT:
            self._fail(FailureReason.TIMEOUT)
        elif action is Action.FAIL:
            self._fail(FailureReason.TRANSPORT)
        if action is Action.COMPLETE:
            self._set(Input.TIMER_J, self._timers.j(reliable=self._reliable), now)


_SENDING: Final = frozenset({Action.SEND, Action.RETRANSMIT, Action.COMPLETE})
