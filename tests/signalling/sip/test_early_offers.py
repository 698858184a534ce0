"""Offers before the answer (RFC 3311)."""

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from tests.signalling.sip.early import (
    CHANGED,
    RELIABLE,
    REQUIRED,
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
    calling_peer,
)


def test_the_caller_changes_the_session_before_the_answer() -> None:
    pair, ours, theirs = ringing()
    pair.alice.core.reoffer(ours, 0.0, body=CHANGED)
    pair.run(0.0)
    assert pair.wire.names(source=ALICE)[-1] == "UPDATE"
    assert pair.bob.last.body == CHANGED
    # Another before that is answered must wait.
    pair.alice.core.reoffer(ours, 0.0, body=OFFER)
    pair.bob.core.accept_offer(theirs, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.alice.last == sip.OfferAnswered(ours, pair.alice.last.response)
    assert pair.bob.last.body == OFFER
    pair.bob.core.refuse_offer(theirs, 0.0, status=488)
    pair.run(0.0)
    assert pair.alice.last == sip.OfferRefused(ours, 488)
    pair.bob.answer(theirs)
    pair.run(0.0)
    assert pair.alice.names[-1] == "Accepted"
    # The answer to the INVITE is no longer what they agreed on.
    assert pair.alice.last.response.body == b""


def test_the_callee_changes_the_session_before_the_answer() -> None:
    pair, ours, theirs = ringing()
    pair.bob.core.reoffer(theirs, 0.0, body=CHANGED)
    pair.run(0.0)
    assert pair.alice.last.body == CHANGED
    pair.alice.core.accept_offer(ours, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.bob.names[-1] == "OfferAnswered"


def test_the_callees_offer_waits_for_the_prack() -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    bob.core.reoffer(session, 0.0, body=CHANGED)
    bob.wire.run(0.0)
    assert "UPDATE" not in peer.names
    peer.send(prack(peer, peer.response(183)), BOB)
    assert peer.names[-2:] == ["200", "UPDATE"]
    assert peer.request("UPDATE").body == CHANGED


def test_both_change_it_before_the_answer() -> None:
    pair, ours, theirs = ringing()
    pair.alice.on = Pair.accept_offers(pair.alice)
    pair.bob.on = Pair.accept_offers(pair.bob)
    pair.alice.core.reoffer(ours, 0.0, body=CHANGED)
    pair.bob.core.reoffer(theirs, 0.0, body=OFFER)
    pair.run(0.0)
    assert pair.wire.names().count("491") == 2
    pair.run(10.0)
    assert pair.alice.names[1:] == pair.bob.names[2:][::-1]
    assert set(pair.alice.names[1:]) == {"OfferAnswered", "OfferReceived"}


def test_without_update_it_waits_for_the_answer() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=CHANGED)
    with pytest.raises(LocalSipError):
        alice.core.refresh(session, 0.0)
    lines = [REQUIRED, ("RSeq", "1")]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    peer.respond(peer.request("PRACK"), 200, ALICE)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(1.0)
    assert peer.take() == ["INVITE", "PRACK"]
    peer.respond(invite, 200, ALICE)
    assert peer.names == ["ACK", "INVITE"]
    assert peer.request("INVITE").body == CHANGED


def test_a_peer_that_takes_no_update_after_all() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1"), TAKES]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(0.0)
    peer.respond(peer.request("UPDATE"), 501, ALICE)
    peer.respond(peer.request("PRACK"), 200, ALICE)
    peer.take()
    alice.wire.run(5.0)
    assert peer.take() == []
    peer.respond(invite, 200, ALICE)
    assert peer.take() == ["ACK", "INVITE"]


def test_a_branch_that_is_over_takes_what_it_was_offered_with_it() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1"), TAKES]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(0.0)
    peer.respond(invite, 199, ALICE)
    assert alice.last == sip.OfferRefused(session, 487)


@pytest.mark.parametrize("status", [408, 481])
def test_an_early_dialog_is_lost_and_the_call_goes_on(status: int) -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1"), TAKES]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(0.0)
    if status == 481:
        peer.respond(peer.request("UPDATE"), status, ALICE)
    else:
        alice.wire.run(32.0)
    assert alice.last == sip.OfferRefused(session, 481)
    peer.respond(invite, 200, ALICE)
    assert alice.names[-1] == "Accepted"


def test_the_answer_crosses_an_update() -> None:
    pair, ours, theirs = ringing()
    pair.alice.core.reoffer(ours, 0.0, body=CHANGED)
    pair.bob.answer(theirs)
    pair.run(0.0)
    assert pair.alice.names[-1] == "Accepted"
    assert pair.bob.names[-2:] == ["OfferReceived", "Acknowledged"]
    pair.bob.core.accept_offer(theirs, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.alice.names[-1] == "OfferAnswered"
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.is_clean()
