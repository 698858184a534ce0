import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    answered_peer,
    called_by_peer,
    calling_peer,
    confirmed_with_peer,
)


def test_every_question_finds_its_session_or_none() -> None:
    bob, _, session, _ = answered_peer()
    core = bob.core
    core.hang_up("s99", 0.0)
    core.acknowledge("s99", 0.0, body=ANSWER)
    core.ring("s99", 0.0)
    core.accept("s99", 0.0, contact=bob.contact, body=ANSWER)
    core.refuse("s99", 0.0, status=486)
    core.reoffer("s99", 0.0, body=OFFER)
    core.accept_offer("s99", 0.0, body=ANSWER)
    core.refuse_offer("s99", 0.0, status=488)
    core.answer_request("s99", "t9", 0.0, status=200)
    assert core.invite_of("s99") is None
    assert core.offer_to("s99") is None
    assert len(core) == 1
    invite = core.invite_of(session)
    assert invite is not None
    assert invite.call_id == "peer-call"
    assert core.offer_to(session) is None
    core.reoffer(session, 0.0, body=OFFER)
    core.accept_offer(session, 0.0, body=ANSWER)
    core.refuse_offer(session, 0.0, status=488)
    core.answer_request(session, "t9", 0.0, status=200)


def test_each_side_has_its_own_words() -> None:
    bob, _, theirs, _ = answered_peer()
    with pytest.raises(LocalSipError):
        bob.core.acknowledge(theirs, 0.0, body=ANSWER)
    alice, _, ours, _ = calling_peer()
    with pytest.raises(LocalSipError):
        alice.core.ring(ours, 0.0)


def test_nobody_answers_and_nobody_acknowledges() -> None:
    alice, _, session, _ = calling_peer()
    alice.wire.run(32.0)
    assert alice.events == [sip.Refused(session, 408, None)]
    alice, peer, session, invite = confirmed_with_peer()
    alice.wire.run(33.0)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]


def test_an_offer_is_made_and_taken() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.bob.on = None
    pair.alice.core.reoffer(ours, pair.wire.now, body=OFFER)
    pair.run(0.0)
    pair.bob.core.refuse_offer(theirs, pair.wire.now, status=488)
    pair.run(0.0)
    assert pair.alice.events == [sip.OfferRefused(ours, 488)]


def test_a_call_without_offer_and_the_caller_cancels() -> None:
    alice, peer, session, invite = calling_peer(body=b"")
    peer.respond(invite, 200, ALICE, body=OFFER)
    alice.core.acknowledge(session, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    assert peer.request("ACK").body == ANSWER
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE"), BOB)
    peer.send(peer.new_request("CANCEL", branch="z9hG4bKpeer1"), BOB)
    assert bob.names == ["InviteReceived", "Cancelled"]
