from typing import Any

import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.session_timer import (
    MAX_INTERVAL,
    MAX_RAISED,
    TRANSITIONS,
    Action,
    Input,
    SessionExpires,
    SessionTimer,
    State,
    parse_session_expires,
)
from agent.signalling.sip.uri import parse_uri
from tests.fakes.wire import lose
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    called_by_peer,
    calling_peer,
    confirmed_with_peer,
)

TIMED: dict[str, Any] = {"supported": ("timer",), "session_expires": 1800}


def request(*lines: tuple[str, str]) -> Request:
    return Request("INVITE", parse_uri("sip:201@192.0.2.1"), Headers(lines))


def expires(value: str) -> tuple[str, str]:
    return "Session-Expires", value


def response(*lines: tuple[str, str], status: int = 200) -> Response:
    return Response(status, "OK", Headers(lines))


SUPPORTED = ("Supported", "timer")
US = State.REFRESHER


def timer(preferred: int = 1800, min_se: int = 90) -> SessionTimer:
    return SessionTimer(preferred=preferred, min_se=min_se)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1800", SessionExpires(1800, None)),
        ("4000 ; Refresher=UAC", SessionExpires(4000, "uac")),
        ("90;refresher=uas;x=y", SessionExpires(90, "uas")),
        (str(2**40), SessionExpires(2**32 - 1, None)),
    ],
)
def test_the_header_is_read(text: str, expected: SessionExpires) -> None:
    assert parse_session_expires(text) == expected
    again = parse_session_expires(str(expected))
    assert again == expected


@pytest.mark.parametrize("text", ["", "x", "-1", "90;refresher", "90;refresher=me"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_session_expires(text)


def test_who_wants_no_timer_gets_none() -> None:
    off = timer(0)
    assert off.request_lines() == ()
    assert off.answer(request(SUPPORTED, expires("300")), 0.0) == ()
    assert off.refusal(request(SUPPORTED, expires("10"))) is None
    off.answered(response(expires("300;refresher=uac")), 0.0)
    assert off.get_timer() is None
    assert off.handle_timer(1e9) is Action.NOTHING


# RFC 4028 table 2, and our preference to refresh ourselves.
@pytest.mark.parametrize(
    ("lines", "answer", "state"),
    [
        ((), "1800;refresher=uas", US),
        ((SUPPORTED,), "1800;refresher=uas", US),
        ((SUPPORTED, expires("600")), "600;refresher=uas", US),
        (
            (SUPPORTED, expires("600;refresher=uas")),
            "600;refresher=uas",
            State.REFRESHER,
        ),
        ((SUPPORTED, expires("600;refresher=uac")), "600;refresher=uac", State.WATCHER),
        ((expires("600;refresher=uac"),), "600;refresher=uas", US),
        ((expires("600"),), "600;refresher=uas", US),
        ((SUPPORTED, expires("7200")), "1800;refresher=uas", US),
        (
            (SUPPORTED, expires("7200"), ("Min-SE", "3600")),
            "3600;refresher=uas",
            State.REFRESHER,
        ),
        # What makes no sense, or would have us refresh for ever.
        ((expires("5"),), "1800;refresher=uas", US),
        ((SUPPORTED, expires("soon")), "1800;refresher=uas", US),
        ((SUPPORTED, ("Min-SE", "x")), "1800;refresher=uas", US),
    ],
)
def test_what_a_callee_answers(
    lines: tuple[tuple[str, str], ...], answer: str, state: State
) -> None:
    ours = timer()
    said = dict(ours.answer(request(*lines), 0.0))
    assert said["Session-Expires"] == answer
    assert ours.state is state
    assert said.get("Require") == ("timer" if SUPPORTED in lines else None)


@pytest.mark.parametrize(
    ("lines", "interval", "state"),
    [
        ((), 1800, State.REFRESHER),
        ((expires("600;refresher=uac"),), 600, State.REFRESHER),
        ((expires("600;refresher=uas"),), 600, State.WATCHER),
        ((expires("600"),), 600, State.REFRESHER),
        ((expires("1;refresher=uas"),), 90, State.WATCHER),
        ((expires(f"{2**32};refresher=uas"),), MAX_INTERVAL, State.WATCHER),
    ],
)
def test_what_a_caller_takes(
    lines: tuple[tuple[str, str], ...], interval: int, state: State
) -> None:
    ours = timer()
    assert ours.request_lines() == (expires("1800"),)
    ours.answered(response(*lines), 0.0)
    assert (ours.interval, ours.state) == (interval, state)
    refresher = "uac" if state is State.REFRESHER else "uas"
    assert ours.request_lines() == (expires(f"{interval};refresher={refresher}"),)


def test_who_refreshes_does_so_at_half() -> None:
    ours = timer()
    ours.answered(response(expires("600;refresher=uac")), 100.0)
    assert ours.get_timer() == 400.0
    assert ours.handle_timer(399.0) is Action.NOTHING
    assert ours.handle_timer(400.0) is Action.REFRESH
    # In case that one was lost, there are others.
    assert ours.get_timer() == 475.0
    assert ours.handle_timer(475.0) is Action.REFRESH
    assert ours.handle_timer(668.0) is Action.EXPIRE
    assert ours.get_timer() is None


def test_who_watches_hangs_up_slightly_before() -> None:
    ours = timer()
    ours.answered(response(expires("90;refresher=uas")), 0.0)
    assert ours.get_timer() == 60.0
    assert ours.handle_timer(60.0) is Action.EXPIRE
    assert ours.state is State.OFF


def test_a_refresh_starts_anew() -> None:
    ours = timer()
    ours.answered(response(expires("600;refresher=uas")), 0.0)
    ours.answer(request(SUPPORTED, expires("300;refresher=uac")), 500.0)
    assert ours.get_timer() == 500.0 + 300.0 - 32.0
    ours.stop()
    assert ours.get_timer() is None


def test_too_small_an_interval_is_refused_to_who_understands() -> None:
    ours = timer(min_se=300)
    assert ours.refusal(request(SUPPORTED, expires("299"))) == (("Min-SE", "300"),)
    required = ("Require", "timer")
    assert ours.refusal(request(required, expires("299"))) == (("Min-SE", "300"),)
    assert ours.refusal(request(SUPPORTED, expires("300"))) is None
    assert ours.refusal(request(expires("10"))) is None
    assert ours.refusal(request(SUPPORTED)) is None
    # Nobody may take less than 90 seconds.
    assert timer(min_se=1).refusal(request(SUPPORTED, expires("89"))) is not None


def test_the_peer_may_want_more() -> None:
    ours = timer(preferred=120)
    assert ours.too_small(response(("Min-SE", "600"), status=422))
    assert ours.request_lines() == (expires("600"), ("Min-SE", "600"))
    for value in ("600", "90", "x", str(MAX_INTERVAL + 1)):
        assert not ours.too_small(response(("Min-SE", value), status=422))
    assert not ours.too_small(response(status=422))
    for number in range(1, MAX_RAISED):
        assert ours.too_small(response(("Min-SE", str(600 + number)), status=422))
    assert not ours.too_small(response(("Min-SE", "3600"), status=422))


def test_a_larger_minimum_of_our_own_is_told() -> None:
    assert timer(min_se=300).request_lines() == (expires("1800"), ("Min-SE", "300"))


@given(
    inputs=st.lists(st.tuples(st.sampled_from(Input), st.integers(0, 2**33))),
)
def test_any_order_has_an_entry(inputs: list[tuple[Input, int]]) -> None:
    ours = timer()
    for input_, seconds in inputs:
        if (ours.state, input_) in TRANSITIONS:
            ours._step(input_, max(seconds, 90), 0.0)
        at = ours.get_timer()
        assert (at is None) == (ours.state is State.OFF)


# -- two user agents ---------------------------------------------------------------


def talking(**fate: Any) -> Pair:
    pair = Pair(alice=TIMED, bob=TIMED, **fate)
    pair.establish()
    return pair


def test_a_call_is_refreshed_for_hours() -> None:
    pair = talking()
    pair.run(4 * 3600.0)
    # Bob answered, and so refreshes, every fifteen minutes.
    assert pair.wire.sent_at("UPDATE")[:3] == [900.0, 1800.0, 2700.0]
    assert set(pair.wire.names(source=BOB)) == {"UPDATE"}
    assert set(pair.alice.names) == {"TargetRefreshed"}
    assert pair.bob.names == []


def test_a_peer_that_takes_no_update_gets_a_re_invite() -> None:
    methods = ("INVITE", "ACK", "CANCEL", "BYE")
    pair = Pair(alice=TIMED | {"allow": methods}, bob=TIMED)
    _ours, theirs = pair.establish()
    pair.alice.on = Pair.accept_offers(pair.alice)
    pair.run(1000.0)
    assert pair.wire.names(source=BOB) == ["INVITE", "100", "ACK"][::2]
    offer = pair.alice.events[0]
    assert isinstance(offer, sip.OfferReceived)
    # The description is the one of before, to the letter.
    assert offer.body == ANSWER
    # What it answers may be another description than before.
    assert pair.bob.last == sip.RefreshAnswered(theirs, pair.bob.last.response)
    assert pair.bob.last.response.body == ANSWER
    assert len(pair.bob.events) == 1
    pair.bob.hang_up(theirs)
    pair.run(60.0)
    assert pair.is_clean()


def test_a_dead_peer_does_not_hold_a_call_for_ever() -> None:
    pair = talking()
    pair.wire.detach(ALICE)
    pair.run(900.0)
    assert pair.bob.names == []
    pair.run(33.0)
    assert pair.bob.events[-1].reason is sip.EndReason.DIALOG_FAILED
    pair.run(100.0)
    assert len(pair.bob.core._sessions) == 0


def test_a_refresher_that_died_is_noticed() -> None:
    alice, peer, session, invite = calling_peer(**TIMED)
    assert invite.headers.get("Session-Expires") == "1800"
    peer.respond(
        invite, 200, ALICE, headers=[expires("600;refresher=uas")], body=ANSWER
    )
    alice.wire.run(567.0)
    assert alice.names == ["Accepted"]
    peer.take()
    alice.wire.run(568.0)
    assert alice.last == sip.Ended(session, sip.EndReason.SESSION_EXPIRED, None)
    assert peer.take() == ["BYE"]


def test_a_refresh_of_the_peer_counts() -> None:
    alice, peer, session, invite = confirmed_with_peer(**TIMED)
    update = peer.in_dialog(
        "UPDATE",
        invite,
        cseq=5,
        headers=[SUPPORTED, expires("600;refresher=uac")],
    )
    peer.send(update, ALICE)
    answer = peer.response(200).headers
    assert answer.get("Session-Expires") == "600;refresher=uac"
    assert answer.get("Require") == "timer"
    alice.wire.run(568.0)
    assert alice.last == sip.Ended(session, sip.EndReason.SESSION_EXPIRED, None)


def test_a_caller_asks_again_with_what_the_callee_wants() -> None:
    pair = Pair(alice=TIMED | {"session_expires": 120}, bob=TIMED | {"min_se": 600})
    ours = pair.alice.call(BOB)
    pair.run(0.4)
    assert pair.wire.names(source=ALICE) == ["INVITE", "ACK", "INVITE", "ACK"]
    assert pair.wire.names(source=BOB) == ["100", "422", "100", "180", "200"]
    invite = pair.bob.events[0].request
    assert invite.headers.get("Session-Expires") == "600"
    assert invite.headers.get("Min-SE") == "600"
    assert pair.alice.names == ["Progressed", "Accepted"]
    pair.alice.hang_up(ours)
    pair.run(60.0)
    assert pair.alice.last == sip.Ended(ours, sip.EndReason.LOCAL, None)
    assert pair.is_clean()


def test_a_422_that_makes_no_sense_is_a_refusal() -> None:
    alice, peer, session, invite = calling_peer(**TIMED)
    peer.respond(invite, 422, ALICE)
    assert alice.names == ["Refused"]
    alice, peer, session, invite = calling_peer(**TIMED)
    peer.respond(invite, 180, ALICE)
    alice.hang_up(session)
    peer.respond(invite, 422, ALICE, headers=[("Min-SE", "3600")])
    assert alice.names == ["Progressed", "Refused"]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_peer_that_refreshes_too_often_is_told(method: str) -> None:
    alice, peer, _, invite = confirmed_with_peer(**TIMED)
    small = [SUPPORTED, expires("89")]
    body = OFFER if method == "INVITE" else b""
    peer.send(peer.in_dialog(method, invite, cseq=5, headers=small, body=body), ALICE)
    assert peer.response(422).headers.get("Min-SE") == "90"
    assert alice.names == []


def test_our_refresh_may_be_too_often_for_the_peer() -> None:
    bob, peer = called_by_peer(**TIMED)
    lines = [("Allow", "INVITE, UPDATE"), expires("300")]
    peer.send(peer.new_request("INVITE", body=OFFER, headers=lines), BOB)
    bob.answer(bob.session)
    bob.wire.run(0.0)
    answer = peer.response(200)
    assert answer.headers.get("Session-Expires") == "300;refresher=uas"
    peer.send(peer.in_dialog("ACK", answer, cseq=1), BOB)
    peer.take()
    bob.wire.run(150.0)
    update = peer.request("UPDATE")
    peer.respond(update, 422, BOB, headers=[("Min-SE", "900")])
    again = peer.request("UPDATE")
    assert again.headers.get("Session-Expires") == "900;refresher=uac"
    assert again.cseq.number == update.cseq.number + 1
    peer.respond(again, 200, BOB, headers=[expires("900;refresher=uac")])
    peer.take()
    bob.wire.run(599.0)
    assert peer.take() == []
    bob.wire.run(600.0)
    assert peer.take() == ["UPDATE"]


def test_a_refresh_that_fails_is_tried_again() -> None:
    bob, peer = called_by_peer(**TIMED)
    lines = [("Allow", "INVITE, UPDATE"), expires("800")]
    peer.send(peer.new_request("INVITE", body=OFFER, headers=lines), BOB)
    bob.answer(bob.session)
    bob.wire.run(0.0)
    peer.send(peer.in_dialog("ACK", peer.response(200), cseq=1), BOB)
    session = bob.session
    bob.wire.run(400.0)
    peer.respond(peer.request("UPDATE"), 503, BOB)
    peer.take()
    bob.wire.run(500.0)
    # It says that it takes no UPDATE after all.
    peer.respond(peer.request("UPDATE"), 405, BOB)
    peer.take()
    bob.wire.run(600.0)
    assert peer.take() == ["INVITE"]
    bob.wire.run(631.0)
    assert bob.names == ["InviteReceived", "Acknowledged"]
    bob.wire.run(800.0)
    assert bob.last == sip.Ended(session, sip.EndReason.DIALOG_FAILED, None)


def test_a_lost_refresh_is_sent_again() -> None:
    pair = talking()
    pair.wire.fate = lose("UPDATE", times=3)
    pair.run(3000.0)
    assert pair.bob.names == []
    assert len(pair.bob.core) == len(pair.alice.core) == 1


def test_what_was_cancelled_has_no_timer() -> None:
    alice, peer, session, invite = calling_peer(**TIMED)
    peer.respond(invite, 180, ALICE)
    alice.hang_up(session)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    peer.take()
    alice.wire.run(4000.0)
    assert len(alice.core._sessions) == 0
