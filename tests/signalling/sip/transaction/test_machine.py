from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import pytest

from agent.signalling.sip.timers import DEFAULT_TIMERS
from agent.signalling.sip.transaction.machine import Failed, FailureReason, Machine


class State(Enum):
    WAITING = auto()
    RESTING = auto()
    TERMINATED = auto()


class Input(Enum):
    KNOCK = auto()
    REST = auto()
    TIMER_SHORT = auto()
    TIMER_LONG = auto()


class Action(Enum):
    SET_BOTH = auto()
    BACK_OFF = auto()
    REST = auto()
    FAIL = auto()


TABLE: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.WAITING, Input.KNOCK): (Action.SET_BOTH, State.WAITING),
    (State.WAITING, Input.TIMER_SHORT): (Action.BACK_OFF, State.WAITING),
    (State.WAITING, Input.TIMER_LONG): (Action.FAIL, State.TERMINATED),
    (State.WAITING, Input.REST): (Action.REST, State.RESTING),
    (State.RESTING, Input.TIMER_LONG): (Action.FAIL, State.TERMINATED),
}


class Doorkeeper(Machine[State, Input, Action]):
    """Two timers, of which only the longer goes on in RESTING."""

    def __init__(self) -> None:
        super().__init__(TABLE, State.WAITING, reliable=False, timers=DEFAULT_TIMERS)

    def step(self, input_: Input, now: float) -> Action | None:
        return self._step(input_, now)

    def _act(self, action: Action, now: float) -> None:
        if action is Action.SET_BOTH:
            self._set(Input.TIMER_SHORT, 0.5, now)
            self._set(Input.TIMER_LONG, 10.0, now)
        elif action is Action.BACK_OFF:
            self._outbox.append(b"knock")
            self._back_off(Input.TIMER_SHORT, now, limit=4.0)
        elif action is Action.FAIL:
            self._fail(FailureReason.TIMEOUT)


def test_intervals_double_up_to_the_limit() -> None:
    machine = Doorkeeper()
    machine.step(Input.KNOCK, 0.0)
    fired = []
    while not machine.terminated:
        at = machine.get_timer()
        assert at is not None
        machine.handle_timer(at)
        fired += [at for _ in machine.data_to_send()]
    assert fired == [0.5, 1.5, 3.5, 7.5]
    assert machine.next_event() == Failed(FailureReason.TIMEOUT)
    assert machine.next_event() is None
    assert machine.get_timer() is None


def test_stall_makes_no_burst() -> None:
    machine = Doorkeeper()
    machine.step(Input.KNOCK, 0.0)
    machine.handle_timer(9.0)
    assert machine.data_to_send() == [b"knock"]
    assert machine.data_to_send() == []
    assert machine.get_timer() == 10.0


def test_timers_that_are_due_fire_in_order() -> None:
    machine = Doorkeeper()
    machine.step(Input.KNOCK, 0.0)
    machine.handle_timer(100.0)
    assert machine.data_to_send() == [b"knock"]
    assert machine.terminated


def test_timer_fires_only_when_due() -> None:
    machine = Doorkeeper()
    machine.step(Input.KNOCK, 0.0)
    machine.handle_timer(0.499)
    assert machine.data_to_send() == []
    assert machine.get_timer() == 0.5


def test_timer_without_an_entry_stops() -> None:
    machine = Doorkeeper()
    machine.step(Input.KNOCK, 0.0)
    assert machine.step(Input.REST, 0.1) is Action.REST
    assert machine.get_timer() == 10.0


def test_what_is_not_in_the_table_changes_nothing() -> None:
    machine = Doorkeeper()
    machine.step(Input.REST, 0.0)
    assert machine.step(Input.KNOCK, 1.0) is None
    assert machine.state is State.RESTING
    assert machine.get_timer() is None


def test_refusal_names_input_and_state_only() -> None:
    error = Doorkeeper()._refuse(Input.KNOCK)
    assert str(error) == "KNOCK is not allowed in WAITING of this transaction."


def test_what_actions_do_is_for_the_subclass_to_say() -> None:
    machine: Machine[State, Input, Action] = Machine(
        TABLE, State.WAITING, reliable=False, timers=DEFAULT_TIMERS
    )
    with pytest.raises(NotImplementedError):
        machine._step(Input.KNOCK, 0.0)
