import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.core import ALLOW
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.inquiries import MAX_INQUIRIES
from agent.signalling.sip.message import Request
from tests.signalling.sip.pair import ALICE, ANSWER, Peer, Phone, confirmed_with_peer


def passing_up() -> tuple[Phone, Peer, str, Request]:
    return confirmed_with_peer(pass_up={"INFO", "MESSAGE"}, allow=(*ALLOW, "MESSAGE"))


def test_requests_may_be_passed_up() -> None:
    alice, peer, session, invite = passing_up()
    peer.send(peer.in_dialog("MESSAGE", invite, cseq=20), ALICE)
    event = alice.last
    assert event == sip.RequestInDialog(session, event.key, event.request)
    with pytest.raises(LocalSipError):
        alice.core.answer_request(session, event.key, 0.0, status=180)
    lines = (("Warning", "399 x y"),)
    alice.core.answer_request(
        session, event.key, 0.0, status=202, headers=lines, body=ANSWER
    )
    alice.core.answer_request(session, event.key, 0.0, status=202)
    alice.wire.run(0.0)
    assert peer.names == ["202"]
    assert peer.response(202).body == ANSWER
    assert peer.response(202).headers.get("Warning") == "399 x y"


def test_not_too_many_are_passed_up() -> None:
    alice, peer, _, invite = passing_up()
    for number in range(MAX_INQUIRIES + 3):
        peer.send(peer.in_dialog("INFO", invite, cseq=20 + number), ALICE)
    assert peer.take() == ["500"] * 3
    assert alice.names == ["RequestInDialog"] * MAX_INQUIRIES


def test_what_the_application_leaves_is_answered_at_the_end() -> None:
    alice, peer, session, invite = passing_up()
    peer.send(peer.in_dialog("INFO", invite, cseq=20), ALICE)
    key = alice.last.key
    peer.send(peer.in_dialog("BYE", invite, cseq=21), ALICE)
    assert peer.take() == ["200", "487"]
    alice.core.answer_request(session, key, 0.0, status=200)
    alice.wire.run(80.0)
    assert peer.take() == []
    assert alice.names == ["RequestInDialog", "Ended"]
    assert not alice.core._user._owners


def test_what_the_application_leaves_for_too_long_is_forgotten() -> None:
    alice, peer, session, invite = passing_up()
    peer.send(peer.in_dialog("INFO", invite, cseq=20), ALICE)
    key = alice.last.key
    alice.wire.run(33.0)
    alice.core.answer_request(session, key, 33.0, status=200)
    alice.wire.run(33.0)
    assert peer.take() == []
    assert not alice.core._user._owners
