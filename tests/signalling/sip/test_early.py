"""Before the answer: reliable provisional responses, UPDATEs, forks.

RFC 3262, RFC 3311, RFC 3261 section 12.1.
"""

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Response
from agent.signalling.sip.uac import MAX_PRACKS
from agent.signalling.sip.uas import RELIABLE_RING_INTERVAL
from tests.fakes.wire import lose
from tests.signalling.sip.early import (
    CHANGED,
    RELIABLE,
    REQUIRED,
    SUPPORTED,
    TAKES,
    prack,
    ringing,
    ringing_for_peer,
)
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    called_by_peer,
    calling_peer,
)


def test_early_media_is_sure_to_arrive() -> None:
    pair, ours, theirs = ringing()
    assert pair.wire.names() == ["INVITE", "100", "183", "PRACK", "200"]
    assert pair.alice.names == ["Progressed"]
    assert pair.alice.last.response.body == ANSWER
    assert pair.bob.names == ["InviteReceived", "ProvisionalAcknowledged"]
    assert pair.bob.last.request.method == "PRACK"
    pair.bob.answer(theirs)
    pair.run(0.0)
    # The 183 held the answer, and the 200 need not say it again.
    assert ANSWER not in pair.wire.log[-2].data
    assert pair.wire.log[-2].name == "200"
    assert pair.alice.last.response.body == ANSWER
    assert pair.alice.last.response.content_type == "application/sdp"
    assert pair.alice.names == ["Progressed", "Accepted"]
    assert pair.bob.last == sip.Acknowledged(theirs, pair.bob.last.request)
    pair.alice.hang_up(ours)
    pair.run(60.0)
    assert pair.is_clean()


def test_each_later_one_is_acknowledged_too() -> None:
    pair, _, theirs = ringing()
    for status in (180, 182):
        pair.bob.core.ring(theirs, 0.0, status=status, reliable=True)
    pair.run(0.0)
    assert pair.wire.names()[5:] == ["180", "PRACK", "200", "182", "PRACK", "200"]
    assert pair.alice.names == ["Progressed"] * 3


def test_a_second_description_changes_nothing() -> None:
    pair, _, theirs = ringing()
    now = pair.wire.now
    pair.bob.core.ring(theirs, now, status=183, body=CHANGED, reliable=True)
    pair.run(0.0)
    assert pair.alice.names == ["Progressed"] * 2
    assert pair.bob.find(theirs)._offers.description == ANSWER


def test_a_lost_response_comes_again() -> None:
    pair = Pair(alice=RELIABLE, bob=RELIABLE, answers=False, fate=lose("183", times=2))
    pair.alice.call(BOB)
    pair.run(0.0)
    theirs = pair.bob.session
    pair.bob.core.ring(theirs, 0.0, status=183, body=ANSWER, reliable=True)
    pair.bob.answer(theirs)
    pair.run(1.4)
    assert pair.alice.names == []
    pair.run(0.2)
    # The answer waited for the PRACK.
    assert pair.wire.names()[-4:] == ["PRACK", "200", "200", "ACK"]
    assert pair.alice.names == ["Progressed", "Accepted"]
    assert pair.bob.names[1:] == ["ProvisionalAcknowledged", "Acknowledged"]


def test_a_lost_prack_is_sent_again_and_the_response_not_told_again() -> None:
    pair = Pair(alice=RELIABLE, bob=RELIABLE, answers=False, fate=lose("PRACK"))
    pair.alice.call(BOB)
    pair.run(0.0)
    pair.bob.core.ring(pair.bob.session, 0.0, body=ANSWER, reliable=True)
    pair.run(3.0)
    assert pair.wire.names().count("PRACK") == 2
    assert pair.wire.names()[-1] == "200"
    assert pair.alice.names == ["Progressed"]


def test_an_overtaken_response_waits_for_the_one_before() -> None:
    alice, peer, _, invite = calling_peer(**RELIABLE)
    for number, names in ((8, ["PRACK"]), (10, []), (9, ["PRACK"]), (10, ["PRACK"])):
        peer.take()
        lines = [REQUIRED, ("RSeq", str(number))]
        peer.respond(invite, 180, ALICE, headers=lines)
        assert peer.names == names
        if names:
            prack = peer.request("PRACK")
            assert prack.headers.get("RAck") == f"{number} {invite.cseq.number} INVITE"
    assert alice.names == ["Progressed"] * 3


def test_the_offer_may_stand_in_the_response() -> None:
    pair, ours, theirs = ringing(offer=b"", body=OFFER)
    assert pair.wire.names() == ["INVITE", "100", "183"]
    assert pair.alice.last.response.body == OFFER
    # Bob cannot answer before Alice has.
    pair.bob.answer(theirs, body=OFFER)
    pair.run(0.1)
    assert pair.alice.names == ["Progressed"]
    pair.alice.core.acknowledge(ours, 0.0, body=ANSWER)
    with pytest.raises(LocalSipError):
        pair.alice.core.acknowledge(ours, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.bob.events[1].request.body == ANSWER
    assert pair.bob.names[1:] == ["ProvisionalAcknowledged", "Acknowledged"]
    # There is nothing left to be said in the 200 and its ACK.
    assert pair.alice.last.response.body == b""
    assert pair.bob.last.request.body == b""
    assert pair.alice.find(ours)._offers.description == ANSWER
    assert pair.bob.find(theirs)._offers.description == OFFER


def test_without_a_prack_the_call_is_refused() -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    bob.answer(session)
    with pytest.raises(LocalSipError):
        bob.answer(session)
    with pytest.raises(LocalSipError):
        bob.core.ring(session, 0.0)
    bob.wire.run(31.9)
    assert set(peer.take()) == {"100", "183"}
    bob.wire.run(32.0)
    assert peer.names == ["504"]
    assert bob.last == sip.Cancelled(session)
    peer.send(peer.in_dialog("ACK", peer.response(504), cseq=1), BOB)
    bob.wire.run(100.0)
    assert len(bob.core._sessions) == 0


@pytest.mark.parametrize("deed", ["refuse", "hang up", "CANCEL", "BYE"])
def test_what_waits_for_its_prack_may_end(deed: str) -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    early = peer.response(183)
    bob.answer(session)
    peer.take()
    if deed == "refuse":
        bob.core.refuse(session, 0.0, status=603)
    elif deed == "hang up":
        bob.hang_up(session)
    elif deed == "CANCEL":
        peer.send(peer.new_request("CANCEL", branch="z9hG4bKpeer1"), BOB)
    else:
        peer.send(peer.in_dialog("BYE", early, cseq=2), BOB)
    bob.wire.run(0.0)
    final = {"refuse": "603", "hang up": "480", "CANCEL": "487", "BYE": "487"}[deed]
    assert peer.take()[-1] == final
    told = len(bob.events)
    # RFC 3262 section 3: the PRACK of what was outstanding is no error for being late.
    peer.send(prack(peer, early, cseq=3), BOB)
    assert peer.take() == ["200"]
    peer.send(prack(peer, early, cseq=4), BOB)
    assert peer.take() == ["481"]
    assert len(bob.events) == told
    assert len(bob.core._sessions) == 0


def test_a_late_prack_that_never_comes_is_not_waited_for_for_ever() -> None:
    bob, _, session = ringing_for_peer()
    bob.core.refuse(session, 0.0, status=486)
    bob.wire.run(31.0)
    assert len(bob.core._sessions) == 1
    bob.wire.run(33.0)
    assert len(bob.core._sessions) == 0


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_prack_may_come_after_the_ack(hangs_up: bool) -> None:
    bob, peer, session = ringing_for_peer()
    early = peer.response(180)
    bob.answer(session)
    bob.wire.run(0.0)
    peer.send(peer.in_dialog("ACK", peer.response(200), cseq=1), BOB)
    if hangs_up:
        bob.hang_up(session)
        bob.wire.run(0.0)
    peer.take()
    peer.send(prack(peer, early, cseq=2), BOB)
    assert peer.take() == ["200"]
    peer.send(prack(peer, early, cseq=3), BOB)
    assert peer.take() == ["481"]


def test_a_description_need_not_be_acknowledged_where_there_is_none() -> None:
    bob, peer, session = ringing_for_peer()
    bob.answer(session)
    bob.wire.run(0.0)
    assert peer.take() == ["100", "180", "200"]


def test_a_prack_may_come_after_the_answer() -> None:
    bob, peer, session = ringing_for_peer()
    early = peer.response(180)
    bob.answer(session)
    bob.wire.run(0.0)
    peer.take()
    peer.send(prack(peer, early), BOB)
    assert peer.take() == ["200"]
    assert bob.last == sip.ProvisionalAcknowledged(session, bob.last.request)
    # But only once.
    peer.send(prack(peer, early, cseq=3), BOB)
    assert peer.take() == ["481"]


@pytest.mark.parametrize(
    ("lines", "reliable"),
    [
        ((SUPPORTED,), True),
        ((REQUIRED,), True),
        ((TAKES,), False),
    ],
)
def test_only_who_can_is_rung_reliably(
    lines: tuple[tuple[str, str], ...], *, reliable: bool
) -> None:
    _, peer, _ = ringing_for_peer(*lines)
    headers = peer.response(180).headers
    assert ("RSeq" in headers) == reliable
    assert (headers.get("Require") == "100rel") == reliable


def test_who_demands_it_is_rung_reliably_in_any_case() -> None:
    bob, peer = called_by_peer(**RELIABLE)
    peer.send(peer.new_request("INVITE", headers=[REQUIRED]), BOB)
    bob.core.ring(bob.session, 0.0)
    bob.wire.run(0.0)
    assert "RSeq" in peer.response(180).headers
    bob, peer = called_by_peer(**RELIABLE)
    peer.send(peer.new_request("INVITE", headers=[SUPPORTED]), BOB)
    bob.core.ring(bob.session, 0.0)
    bob.wire.run(0.0)
    assert "RSeq" not in peer.response(180).headers


def test_who_does_not_know_it_refuses_to_be_asked() -> None:
    _, peer = called_by_peer()
    peer.send(peer.new_request("INVITE", headers=[REQUIRED]), BOB)
    assert peer.response(420).headers.get("Unsupported") == "100rel"


def test_proxies_hear_that_it_still_rings() -> None:
    bob, peer, _ = ringing_for_peer()
    peer.send(prack(peer, peer.response(180)), BOB)
    peer.take()
    bob.wire.run(RELIABLE_RING_INTERVAL - 1)
    assert peer.take() == []
    bob.wire.run(RELIABLE_RING_INTERVAL)
    assert peer.names == ["180"]
    peer.send(prack(peer, peer.response(180), cseq=3), BOB)
    assert peer.take() == ["180", "200"]


def test_a_prack_may_change_the_session() -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    peer.send(prack(peer, peer.response(183), body=CHANGED), BOB)
    peer.take()
    assert bob.last.body == CHANGED
    assert bob.last.request.method == "PRACK"
    bob.answer(session)
    bob.core.accept_offer(session, 0.0, body=CHANGED)
    bob.wire.run(0.0)
    final, answer = peer.received
    assert isinstance(final, Response)
    assert (final.cseq.method, final.body) == ("INVITE", b"")
    assert isinstance(answer, Response)
    assert (answer.cseq.method, answer.body) == ("PRACK", CHANGED)


@pytest.mark.parametrize("headers", [[], [("RAck", "1 1 INVITE")], [("RAck", "x")]])
def test_a_stray_prack(headers: list[tuple[str, str]]) -> None:
    _, peer, _ = ringing_for_peer()
    early = peer.response(180)
    peer.take()
    peer.send(peer.in_dialog("PRACK", early, cseq=2, headers=headers), BOB)
    assert peer.take() == ["481"]


def test_a_caller_has_nothing_to_be_acknowledged() -> None:
    _alice, peer, _, invite = calling_peer(**RELIABLE)
    peer.respond(invite, 180, ALICE)
    peer.take()
    peer.send(peer.in_dialog("PRACK", invite, cseq=2), ALICE)
    assert peer.take() == ["481"]


def test_nobody_answers_our_prack() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1")]
    peer.respond(invite, 180, ALICE, headers=lines)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    alice.hang_up(session)
    alice.wire.run(0.0)
    peer.respond(peer.request("BYE"), 200, ALICE)
    alice.wire.run(100.0)
    assert len(alice.core._sessions) == 0
    assert not alice.core._user._owners


def test_a_peer_that_only_rings() -> None:
    alice, peer, _, invite = calling_peer(**RELIABLE)
    for number in range(1, MAX_PRACKS + 9):
        lines = [REQUIRED, ("RSeq", str(number))]
        peer.respond(invite, 180, ALICE, headers=lines)
    assert peer.take().count("PRACK") == MAX_PRACKS
    assert len(alice.events) == MAX_PRACKS
