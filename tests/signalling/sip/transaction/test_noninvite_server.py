import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.transaction.machine import Failed, FailureReason
from agent.signalling.sip.transaction.noninvite_server import (
    NonInviteServerTransaction,
    State,
)
from tests.signalling.sip.transaction.samples import events, make_request, run

REQUEST = make_request("BYE", via="SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa")
TIMED_OUT = Failed(FailureReason.TIMEOUT)
BROKEN = Failed(FailureReason.TRANSPORT)


def in_state(state: State, *, reliable: bool = False) -> NonInviteServerTransaction:
    """At time 0, with nothing left to send or tell."""
    machine = NonInviteServerTransaction(reliable=reliable)
    if state is not State.INITIAL:
        machine.receive(REQUEST, 0.0)
    if state is State.PROCEEDING:
        machine.send(100, b"100", 0.0)
    elif state is State.COMPLETED:
        machine.send(200, b"200", 0.0)
    elif state is State.TERMINATED:
        run(machine, until=32.0)
    assert machine.state is state
    machine.data_to_send()
    events(machine)
    return machine


def test_retransmitted_request_gets_the_last_response() -> None:
    machine = in_state(State.TRYING)
    machine.receive(REQUEST, 0.1)
    assert machine.data_to_send() == []
    machine.send(100, b"100", 0.2)
    machine.receive(REQUEST, 0.3)
    assert machine.data_to_send() == [b"100", b"100"]
    machine.send(180, b"180", 0.4)
    machine.receive(REQUEST, 0.5)
    assert machine.data_to_send() == [b"180", b"180"]
    machine.send(200, b"200", 0.6)
    machine.receive(REQUEST, 32.5)
    assert machine.data_to_send() == [b"200", b"200"]
    assert machine.get_timer() == 32.6
    run(machine, until=32.6)
    assert machine.terminated
    assert events(machine) == []


def test_reliable_transport_retransmits_nothing() -> None:
    machine = in_state(State.TRYING, reliable=True)
    machine.send(200, b"200", 1.0)
    assert machine.data_to_send() == [b"200"]
    assert machine.get_timer() == 1.0
    run(machine, until=1.0)
    assert machine.terminated


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("state", [State.TRYING, State.PROCEEDING])
def test_unanswered_ends_with_the_clients_timer_f(
    state: State,
    reliable: bool,
) -> None:
    machine = in_state(state, reliable=reliable)
    assert machine.get_timer() == 32.0
    run(machine, until=32.0)
    assert events(machine) == [TIMED_OUT]
    assert machine.terminated


def test_second_final_response_is_discarded() -> None:
    machine = in_state(State.COMPLETED)
    machine.send(500, b"500", 0.1)
    assert machine.data_to_send() == []
    machine.receive(REQUEST, 0.2)
    assert machine.data_to_send() == [b"200"]


@pytest.mark.parametrize("state", [State.PROCEEDING, State.COMPLETED])
def test_transport_failure_is_told(state: State) -> None:
    machine = in_state(state)
    machine.transport_failed(0.1)
    assert events(machine) == [BROKEN]
    assert machine.terminated


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.INITIAL, 100),
        (State.INITIAL, 200),
        (State.COMPLETED, 100),
        (State.TERMINATED, 100),
        (State.TERMINATED, 200),
    ],
)
def test_response_out_of_order_is_our_fault(state: State, status: int) -> None:
    machine = in_state(state)
    timer = machine.get_timer()
    with pytest.raises(LocalSipError):
        machine.send(status, b"never", 0.1)
    assert machine.state is state
    assert machine.get_timer() == timer
    assert machine.data_to_send() == []


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State.INITIAL, "transport"),
        (State.TRYING, "transport"),
        (State.TERMINATED, "transport"),
        (State.TERMINATED, "request"),
    ],
)
def test_all_else_changes_nothing(state: State, what: str) -> None:
    machine = in_state(state)
    timer = machine.get_timer()
    poke(machine, what, 0.1)
    assert machine.state is state
    assert machine.get_timer() == timer
    assert machine.data_to_send() == []
    assert events(machine) == []


WORDS = ["request", "transport", "timer", "100", "200", "481"]


def poke(machine: NonInviteServerTransaction, what: str, now: float) -> None:
    match what:
        case "request":
            machine.receive(REQUEST, now)
        case "transport":
            machine.transport_failed(now)
        case "timer":
            machine.handle_timer(now)
        case _:
            machine.send(int(what), what.encode(), now)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.floats(0.0, 40.0)), max_size=12))
def test_any_walk_ends_by_itself(walk: list[tuple[str, float]]) -> None:
    machine = in_state(State.TRYING)
    now = 0.0
    sent: list[bytes] = []
    for what, pause in walk:
        now += pause
        before = machine.state, machine.get_timer()
        try:
            poke(machine, what, now)
        except LocalSipError:
            assert before == (machine.state, machine.get_timer())
        sent += machine.data_to_send()
        assert machine.terminated == (machine.get_timer() is None)
    assert not (b"200" in sent and b"481" in sent)
    run(machine, until=now + 32.0)
    assert machine.terminated
    assert len(events(machine)) <= 1
