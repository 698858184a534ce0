import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.transaction.invite_server import (
    InviteServerTransaction,
    State,
)
from agent.signalling.sip.transaction.machine import (
    AckPassed,
    Failed,
    FailureReason,
)
from tests.signalling.sip.transaction.samples import (
    events,
    make_request,
    run,
    transmissions,
)

VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"
INVITE = make_request("INVITE", via=VIA)
ACK = make_request("ACK", via=VIA, to_tag="bob")
NO_ACK = Failed(FailureReason.NO_ACK)
BROKEN = Failed(FailureReason.TRANSPORT)


def in_state(state: State, *, reliable: bool = False) -> InviteServerTransaction:
    """At time 0, with nothing left to send or tell."""
    machine = InviteServerTransaction(reliable=reliable)
    if state is State.ACCEPTED:
        machine.send(200, b"200", 0.0)
    elif state is not State.PROCEEDING:
        machine.send(486, b"486", 0.0)
        if state is not State.COMPLETED:
            machine.receive(ACK, 0.0)
        if state is State.TERMINATED:
            run(machine, until=5.0)
    assert machine.state is state
    machine.data_to_send()
    events(machine)
    return machine


def test_lost_ack_backs_off_and_times_out() -> None:
    machine = InviteServerTransaction(reliable=False)
    machine.send(486, b"486", 0.0)
    times = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert transmissions(machine, until=31.9) == times
    assert machine.get_timer() == 32.0
    assert events(machine) == []
    run(machine, until=32.0)
    assert events(machine) == [NO_ACK]
    assert machine.terminated


def test_reliable_transport_sends_once_but_wants_its_ack() -> None:
    machine = InviteServerTransaction(reliable=True)
    machine.send(486, b"486", 0.0)
    assert transmissions(machine, until=31.9) == [0.0]
    run(machine, until=32.0)
    assert events(machine) == [NO_ACK]


def test_ack_ends_retransmission_and_is_absorbed() -> None:
    machine = in_state(State.COMPLETED)
    machine.receive(ACK, 0.2)
    assert machine.state is State.CONFIRMED
    assert machine.get_timer() == 5.2
    machine.receive(ACK, 1.0)
    machine.receive(INVITE, 1.0)
    assert machine.get_timer() == 5.2
    assert transmissions(machine, until=5.2) == []
    assert machine.terminated
    assert events(machine) == []


def test_reliable_transport_absorbs_no_ack() -> None:
    machine = in_state(State.COMPLETED, reliable=True)
    machine.receive(ACK, 0.2)
    assert machine.get_timer() == 0.2
    run(machine, until=0.2)
    assert machine.terminated


def test_retransmitted_invite_gets_the_last_response() -> None:
    machine = InviteServerTransaction(reliable=False)
    machine.receive(INVITE, 0.0)
    assert machine.data_to_send() == []
    machine.send(100, b"100", 0.0)
    machine.send(180, b"180", 0.1)
    assert machine.data_to_send() == [b"100", b"180"]
    machine.receive(INVITE, 0.5)
    assert machine.data_to_send() == [b"180"]
    machine.send(486, b"486", 0.6)
    machine.receive(INVITE, 0.7)
    assert machine.data_to_send() == [b"486", b"486"]
    assert machine.get_timer() == 1.1


def test_accepted_leaves_the_2xx_to_the_user() -> None:
    machine = InviteServerTransaction(reliable=False)
    machine.send(200, b"200", 1.0)
    assert transmissions(machine, until=2.0, start=1.0) == [1.0]
    machine.receive(INVITE, 2.0)
    assert machine.data_to_send() == []
    machine.send(200, b"200", 3.0)
    assert machine.data_to_send() == [b"200"]
    machine.receive(ACK, 3.1)
    assert events(machine) == [AckPassed(ACK)]
    assert machine.get_timer() == 33.0
    run(machine, until=33.0)
    assert machine.terminated
    assert events(machine) == []


@pytest.mark.parametrize("state", [State.PROCEEDING, State.ACCEPTED, State.COMPLETED])
def test_transport_failure_is_told_and_survived(state: State) -> None:
    machine = in_state(state)
    timer = machine.get_timer()
    machine.transport_failed(0.1)
    assert events(machine) == [BROKEN]
    assert machine.state is state
    assert machine.get_timer() == timer


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.ACCEPTED, 180),
        (State.ACCEPTED, 486),
        *(
            (state, status)
            for status in (180, 200, 486)
            for state in (State.COMPLETED,)
        ),
        *(
            (state, status)
            for status in (180, 200, 486)
            for state in (State.CONFIRMED,)
        ),
        *((State.TERMINATED, status) for status in (180, 200, 486)),
    ],
)
def test_response_out_of_order_is_our_fault(state: State, status: int) -> None:
    machine = in_state(state)
    timer = machine.get_timer()
    with pytest.raises(LocalSipError):
        machine.send(status, b"never", 0.2)
    assert machine.state is state
    assert machine.get_timer() == timer
    run(machine, until=0.5)
    assert b"never" not in machine.data_to_send()


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State.PROCEEDING, "ack"),
        (State.CONFIRMED, "transport"),
        (State.TERMINATED, "ack"),
        (State.TERMINATED, "invite"),
        (State.TERMINATED, "transport"),
    ],
)
def test_all_else_changes_nothing(state: State, what: str) -> None:
    machine = in_state(state)
    timer = machine.get_timer()
    poke(machine, what, 0.2)
    assert machine.state is state
    assert machine.get_timer() == timer
    assert machine.data_to_send() == []
    assert events(machine) == []


def poke(machine: InviteServerTransaction, what: str, now: float) -> None:
    match what:
        case "ack":
            machine.receive(ACK, now)
        case "invite":
            machine.receive(INVITE, now)
        case "transport":
            machine.transport_failed(now)
        case "timer":
            machine.handle_timer(now)
        case _:
            machine.send(int(what), what.encode(), now)


WORDS = ["ack", "invite", "transport", "timer", "180", "200", "486"]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.floats(0.0, 40.0)), max_size=12))
def test_any_walk_keeps_the_promises(walk: list[tuple[str, float]]) -> None:
    machine = InviteServerTransaction(reliable=False)
    now = 0.0
    sent: list[bytes] = []
    told: list[object] = []
    for what, pause in walk:
        now += pause
        before = machine.state, machine.get_timer()
        try:
            poke(machine, what, now)
        except LocalSipError:
            assert before == (machine.state, machine.get_timer())
        sent += machine.data_to_send()
        told += events(machine)
        assert machine.terminated <= (machine.get_timer() is None)
    # One kind of final response leaves, and only an accepted call passes ACKs on.
    assert not (b"200" in sent and b"486" in sent)
    assert told.count(NO_ACK) <= 1
    assert AckPassed(ACK) not in told or b"200" in sent
    assert NO_ACK not in told or b"486" in sent
