import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.transaction.machine import (
    Failed,
    FailureReason,
    ResponsePassed,
)
from agent.signalling.sip.transaction.noninvite_client import (
    NonInviteClientTransaction,
    State,
)
from tests.signalling.sip.transaction.samples import (
    events,
    make_request,
    make_response,
    run,
    transmissions,
)

VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"
TIMED_OUT = Failed(FailureReason.TIMEOUT)
BROKEN = Failed(FailureReason.TRANSPORT)
BACK_OFF = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def trying(*, reliable: bool = False) -> NonInviteClientTransaction:
    machine = NonInviteClientTransaction(
        make_request("OPTIONS", via=VIA), reliable=reliable
    )
    machine.start(0.0)
    return machine


def receive(machine: NonInviteClientTransaction, status: int, now: float) -> None:
    machine.receive(make_response(machine.request, status), now)


def passed(machine: NonInviteClientTransaction) -> list[int]:
    return [
        event.response.status
        for event in events(machine)
        if isinstance(event, ResponsePassed)
    ]


def in_state(state: State) -> NonInviteClientTransaction:
    if state is State.INITIAL:
        request = make_request("OPTIONS", via=VIA)
        return NonInviteClientTransaction(request, reliable=False)
    machine = trying()
    if state is State.PROCEEDING:
        receive(machine, 100, 0.0)
    elif state is State.COMPLETED:
        receive(machine, 200, 0.0)
    elif state is State.TERMINATED:
        machine.transport_failed(0.0)
    assert machine.state is state
    events(machine)
    machine.data_to_send()
    return machine


def test_unanswered_backs_off_to_t2_and_times_out() -> None:
    machine = trying()
    assert transmissions(machine, until=31.9) == BACK_OFF
    assert machine.get_timer() == 32.0
    assert events(machine) == []
    run(machine, until=32.0)
    assert events(machine) == [TIMED_OUT]
    assert machine.terminated


def test_reliable_transport_sends_once() -> None:
    machine = trying(reliable=True)
    assert transmissions(machine, until=31.9) == [0.0]
    assert machine.get_timer() == 32.0


def test_starts_once() -> None:
    machine = trying()
    with pytest.raises(LocalSipError):
        machine.start(1.0)
    assert transmissions(machine, until=0.0) == [0.0]


def test_provisional_slows_down_but_stops_nothing() -> None:
    machine = trying()
    assert transmissions(machine, until=0.5) == [0.0, 0.5]
    receive(machine, 100, 0.7)
    receive(machine, 183, 0.8)
    assert passed(machine) == [100, 183]
    # The interval under way is let run out; after it they are T2.
    times = [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert transmissions(machine, until=31.9) == times
    run(machine, until=32.0)
    assert events(machine) == [TIMED_OUT]


@pytest.mark.parametrize("state", [State.TRYING, State.PROCEEDING])
@pytest.mark.parametrize("status", [200, 302, 481, 500, 603])
def test_final_response_is_passed_once(state: State, status: int) -> None:
    machine = in_state(state)
    receive(machine, status, 1.0)
    assert passed(machine) == [status]
    assert machine.get_timer() == 6.0
    receive(machine, status, 3.0)
    assert events(machine) == []
    assert transmissions(machine, until=6.0) == []
    assert machine.terminated
    assert events(machine) == []


def test_reliable_transport_absorbs_nothing() -> None:
    machine = trying(reliable=True)
    receive(machine, 200, 1.0)
    assert machine.get_timer() == 1.0


@pytest.mark.parametrize("state", [State.TRYING, State.PROCEEDING])
def test_transport_failure_is_told(state: State) -> None:
    machine = in_state(state)
    machine.transport_failed(0.1)
    assert events(machine) == [BROKEN]
    assert machine.terminated


WORDS = ["100", "200", "transport", "timer"]


def poke(machine: NonInviteClientTransaction, what: str, now: float) -> None:
    if what == "transport":
        machine.transport_failed(now)
    elif what == "timer":
        machine.handle_timer(now)
    else:
        receive(machine, int(what), now)


@pytest.mark.parametrize(
    ("state", "what"),
    [
        *((State.INITIAL, what) for what in WORDS),
        (State.COMPLETED, "100"),
        (State.COMPLETED, "transport"),
        *((State.TERMINATED, what) for what in WORDS),
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


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.floats(0.0, 40.0)), max_size=12))
def test_any_walk_ends_once(walk: list[tuple[str, float]]) -> None:
    machine = trying()
    now = 0.0
    ends = 0
    for what, pause in walk:
        now += pause
        poke(machine, what, now)
        for event in events(machine):
            assert ends == 0
            if isinstance(event, Failed) or event.response.status >= 200:
                ends += 1
        assert machine.terminated == (machine.get_timer() is None)
    run(machine, until=now + 100.0)
    assert machine.terminated
    assert ends + len([e for e in events(machine) if isinstance(e, Failed)]) == 1
