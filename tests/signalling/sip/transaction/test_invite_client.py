import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.transaction.invite_client import (
    TRANSITIONS,
    InviteClientTransaction,
    State,
    build_ack,
    build_cancel,
)
from agent.signalling.sip.transaction.machine import (
    Failed,
    FailureReason,
    ResponsePassed,
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


def calling(*, reliable: bool = False) -> InviteClientTransaction:
    machine = InviteClientTransaction(make_request(via=VIA), reliable=reliable)
    machine.start(0.0)
    return machine


def passed(machine: InviteClientTransaction) -> list[int]:
    return [
        event.response.status
        for event in events(machine)
        if isinstance(event, ResponsePassed)
    ]


def in_state(state: State) -> InviteClientTransaction:
    if state is State.INITIAL:
        return InviteClientTransaction(make_request(via=VIA), reliable=False)
    machine = calling()
    status = {State.PROCEEDING: 180, State.ACCEPTED: 200, State.COMPLETED: 486}
    if state in status:
        receive(machine, status[state], 0.0)
    if state is State.TERMINATED:
        machine.transport_failed(0.0)
    assert machine.state is state
    events(machine)
    machine.data_to_send()
    return machine


def receive(machine: InviteClientTransaction, status: int, now: float) -> None:
    machine.receive(make_response(machine.request, status), now)


def test_unanswered_backs_off_without_limit_and_times_out() -> None:
    machine = calling()
    assert transmissions(machine, until=31.9) == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert events(machine) == []
    assert machine.get_timer() == 32.0
    assert transmissions(machine, until=100.0) == []
    assert events(machine) == [TIMED_OUT]
    assert machine.terminated


def test_reliable_transport_sends_once() -> None:
    machine = calling(reliable=True)
    assert transmissions(machine, until=31.9) == [0.0]
    assert machine.get_timer() == 32.0


def test_what_is_sent_is_the_request() -> None:
    machine = calling()
    assert machine.data_to_send() == [machine.request.to_bytes()]


def test_starts_once() -> None:
    machine = calling()
    with pytest.raises(LocalSipError):
        machine.start(1.0)
    assert machine.state is State.CALLING
    assert transmissions(machine, until=0.0) == [0.0]


def test_provisional_stops_retransmission_and_timeout() -> None:
    machine = calling()
    machine.data_to_send()
    receive(machine, 100, 0.3)
    receive(machine, 180, 0.4)
    assert passed(machine) == [100, 180]
    assert machine.get_timer() is None
    assert machine.state is State.PROCEEDING


@pytest.mark.parametrize("state", [State.CALLING, State.PROCEEDING])
@pytest.mark.parametrize("status", [300, 404, 486, 503, 600, 699])
def test_refusal_is_acknowledged_and_absorbed(state: State, status: int) -> None:
    machine = in_state(state)
    receive(machine, status, 1.0)
    assert passed(machine) == [status]
    ack = parse_message(machine.data_to_send()[0])
    assert ack.start_line() == "ACK sip:bob@192.0.2.2 SIP/2.0"
    assert machine.get_timer() == 33.0
    receive(machine, status, 20.0)
    assert passed(machine) == []
    assert machine.data_to_send() == [ack.to_bytes()]
    assert machine.get_timer() == 33.0
    run(machine, until=33.0)
    assert machine.terminated
    assert events(machine) == []


def test_reliable_transport_absorbs_nothing() -> None:
    machine = calling(reliable=True)
    receive(machine, 486, 1.0)
    assert machine.get_timer() == 1.0
    run(machine, until=1.0)
    assert machine.terminated


@pytest.mark.parametrize("state", [State.CALLING, State.PROCEEDING])
def test_every_2xx_is_passed_until_timer_m(state: State) -> None:
    machine = in_state(state)
    receive(machine, 200, 1.0)
    receive(machine, 200, 5.0)
    machine.receive(make_response(machine.request, 200, to_tag="fork"), 32.9)
    assert passed(machine) == [200, 200, 200]
    assert machine.data_to_send() == []
    assert machine.get_timer() == 33.0
    run(machine, until=33.0)
    assert machine.terminated
    assert events(machine) == []


def test_cancelled_waits_64_t1_for_the_final_response() -> None:
    machine = in_state(State.PROCEEDING)
    machine.cancelled(100.0)
    receive(machine, 180, 120.0)
    assert machine.get_timer() == 132.0
    events(machine)
    run(machine, until=132.0)
    assert events(machine) == [TIMED_OUT]
    assert machine.terminated


@pytest.mark.parametrize("status", [200, 487])
def test_final_response_after_the_cancel(status: int) -> None:
    machine = in_state(State.PROCEEDING)
    machine.cancelled(100.0)
    receive(machine, status, 101.0)
    assert passed(machine) == [status]
    assert machine.get_timer() == 133.0


def test_transport_failure_while_calling_is_told() -> None:
    machine = in_state(State.CALLING)
    machine.transport_failed(0.1)
    assert events(machine) == [BROKEN]
    assert machine.terminated


def test_transport_failure_of_an_ack_is_not_told() -> None:
    machine = in_state(State.COMPLETED)
    machine.transport_failed(0.1)
    assert events(machine) == []
    assert machine.terminated


IGNORED = {
    State.INITIAL: {"1xx", "2xx", "300", "cancelled", "transport"},
    State.CALLING: {"cancelled"},
    State.PROCEEDING: {"transport"},
    State.ACCEPTED: {"1xx", "300", "cancelled", "transport"},
    State.COMPLETED: {"1xx", "2xx", "cancelled"},
    State.TERMINATED: {"1xx", "2xx", "300", "cancelled", "transport"},
}


def poke(machine: InviteClientTransaction, what: str, now: float) -> None:
    match what:
        case "1xx":
            receive(machine, 180, now)
        case "2xx":
            receive(machine, 200, now)
        case "300":
            receive(machine, 300, now)
        case "cancelled":
            machine.cancelled(now)
        case "transport":
            machine.transport_failed(now)
        case "timer":
            machine.handle_timer(now)
        case _:
            raise AssertionError(what)


@pytest.mark.parametrize(
    ("state", "what"),
    [(state, what) for state, whats in IGNORED.items() for what in sorted(whats)],
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
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1xx", "2xx", "300", "cancelled", "transport", "timer"]),
            st.floats(0.0, 40.0),
        ),
        max_size=12,
    )
)
def test_any_walk_keeps_the_promises(walk: list[tuple[str, float]]) -> None:
    machine = calling()
    now = 0.0
    finals: list[int] = []
    failures = 0
    for what, pause in walk:
        now += pause
        poke(machine, what, now)
        for event in events(machine):
            if isinstance(event, ResponsePassed):
                assert not failures
                if event.response.status >= 200:
                    finals.append(event.response.status)
            else:
                failures += 1
        assert machine.terminated or machine.state in {key[0] for key in TRANSITIONS}
        assert machine.terminated <= (machine.get_timer() is None)
    assert failures <= 1
    assert not (finals and failures)
    assert finals.count(300) <= 1
    assert len(set(finals)) <= 1


def test_ack_of_section_17_1_1_3() -> None:
    invite = make_request(via=VIA, cseq=7)
    invite.headers.add("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKold")
    invite.headers.add("Route", "<sip:192.0.2.3;lr>")
    invite.headers.add("Route", "<sip:192.0.2.4;lr>")
    invite.headers.add("Require", "100rel")
    ack = build_ack(invite, make_response(invite, 486))
    assert ack.method == "ACK"
    assert ack.uri == invite.uri
    assert ack.headers.get_all("Via") == [VIA]
    assert ack.headers.get_all("Route") == ["<sip:192.0.2.3;lr>", "<sip:192.0.2.4;lr>"]
    assert ack.from_ == invite.from_
    assert ack.to.tag == "bob"
    assert ack.call_id == invite.call_id
    assert str(ack.cseq) == "7 ACK"
    assert ack.max_forwards == 70
    assert "Require" not in ack.headers
    assert parse_message(ack.to_bytes()).to_bytes() == ack.to_bytes()


def test_ack_for_a_response_without_to() -> None:
    invite = make_request(via=VIA)
    response = make_response(invite, 486)
    response.headers.remove("To")
    assert build_ack(invite, response).to == invite.to


def test_cancel_of_section_9_1() -> None:
    invite = make_request(via=VIA, cseq=7)
    invite.headers.add("Route", "<sip:192.0.2.3;lr>")
    cancel = build_cancel(invite, [("Reason", "SIP;cause=200")])
    assert cancel.headers.get_all("Via") == [VIA]
    assert cancel.headers.get("Route") == "<sip:192.0.2.3;lr>"
    assert cancel.to.tag is None
    assert str(cancel.cseq) == "7 CANCEL"
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    assert parse_message(cancel.to_bytes()).to_bytes() == cancel.to_bytes()


def test_cancel_lets_no_header_in() -> None:
    with pytest.raises(LocalSipError):
        build_cancel(make_request(via=VIA), [("Reason", "x\r\nVia: y")])
