from agent.signalling.sip.acceptance import Acceptances
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Response
from agent.signalling.sip.timers import Timers


def ok(number: int) -> Response:
    return Response(200, "OK", Headers([("CSeq", f"{number} INVITE")]))


def test_interval_doubles_up_to_t2_until_64_t1() -> None:
    acceptances = Acceptances(Timers())
    acceptances.add("t1", ok(1), 0.0)
    times = []
    while (at := acceptances.get_timer()) is not None:
        again, given_up = acceptances.handle_timer(at)
        if given_up:
            assert (again, at) == ([], 32.0)
        else:
            assert again == [("t1", ok(1))]
            times.append(at)
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_a_late_call_sends_once_and_does_not_catch_up() -> None:
    acceptances = Acceptances(Timers())
    acceptances.add("t1", ok(1), 0.0)
    assert acceptances.handle_timer(0.4) == ([], False)
    assert len(acceptances.handle_timer(9.0)[0]) == 1
    assert acceptances.get_timer() == 10.0


def test_after_64_t1_nothing_is_sent_any_more() -> None:
    acceptances = Acceptances(Timers())
    acceptances.add("t1", ok(1), 0.0)
    assert acceptances.handle_timer(40.0) == ([], True)
    assert len(acceptances) == 0


def test_an_ack_stops_the_one_it_is_for_and_once() -> None:
    acceptances = Acceptances(Timers())
    acceptances.add("t1", ok(1), 0.0)
    acceptances.add("t2", ok(2), 0.1)
    assert not acceptances.acknowledge(3)
    assert acceptances.acknowledge(1)
    assert not acceptances.acknowledge(1)
    assert len(acceptances) == 1
    assert acceptances.get_timer() == 0.6
    assert acceptances.acknowledge(2)
    assert acceptances.get_timer() is None
