"""How a session ends."""

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.session_states import State
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
from tests.signalling.sip.reoffers import offered, peer_invite, reoffered


def test_the_peer_hangs_up() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.alice.core.hang_up(ours, pair.wire.now, headers=(("Reason", "SIP;cause=200"),))
    pair.run(0.0)
    assert pair.bob.last.reason == "bye"
    assert pair.bob.last.request.headers.get("Reason") == "SIP;cause=200"
    assert pair.alice.events == [sip.Ended(ours, sip.EndReason.LOCAL, None)]
    assert pair.bob.events == [
        sip.Ended(theirs, sip.EndReason.BYE, pair.bob.last.request)
    ]
    pair.alice.hang_up(ours)
    pair.bob.hang_up(theirs)
    pair.run(70.0)
    assert pair.wire.names() == ["BYE", "200"]
    assert pair.is_clean()


@pytest.mark.parametrize("status", [200, 401, 481, 500, 603])
def test_any_final_response_ends_our_bye(status: int) -> None:
    alice, peer, session, _ = confirmed_with_peer()
    alice.hang_up(session)
    alice.wire.run(0.0)
    bye = peer.request("BYE")
    peer.respond(bye, 100, ALICE)
    assert alice.names == []
    peer.respond(bye, status, ALICE)
    assert alice.events == [sip.Ended(session, sip.EndReason.LOCAL, None)]


def test_our_bye_may_go_unanswered() -> None:
    alice, peer, session, _ = confirmed_with_peer()
    alice.hang_up(session)
    assert len(alice.core) == 0
    alice.wire.run(31.9)
    assert alice.names == []
    assert set(peer.take()) == {"BYE"}
    alice.wire.run(32.0)
    assert alice.events == [sip.Ended(session, sip.EndReason.LOCAL, None)]


def test_a_bye_with_the_wrong_tags_is_nothing() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    for name, value in (
        ("From", "<sip:201@192.0.2.2>;tag=mallory"),
        ("From", "<sip:201@192.0.2.2>"),
        ("To", "<sip:me@example.com>;tag=guess"),
        ("To", "<sip:me@example.com>"),
        ("Call-ID", "guess"),
    ):
        bye = peer.in_dialog("BYE", invite, cseq=9)
        bye.headers.set(name, value)
        peer.send(bye, ALICE)
        assert peer.take() == ["481"]
    assert alice.names == []
    assert alice.find(session).state is State.CONFIRMED


def test_bye_crosses_bye() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    alice.hang_up(session)
    peer.send(peer.in_dialog("BYE", invite, cseq=10), ALICE)
    assert peer.names == ["BYE", "200"]
    assert alice.names == []
    peer.respond(peer.request("BYE"), 481, ALICE)
    assert alice.events == [sip.Ended(session, sip.EndReason.LOCAL, None)]
    peer.send(peer.in_dialog("BYE", invite, cseq=11), ALICE)
    assert peer.names[-1] == "481"


def test_bye_meets_open_offers() -> None:
    alice, peer, session = offered()
    invite = peer_invite(alice, session)
    peer.send(peer.in_dialog("BYE", invite, cseq=11), ALICE)
    assert peer.take() == ["200", "487"]
    alice, peer, session = offered()
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert peer.take() == ["487", "BYE"]


@pytest.mark.parametrize("status", [200, 487])
def test_bye_while_our_offer_is_open(status: int) -> None:
    alice, peer, session, reinvite = reoffered()
    peer.respond(reinvite, 100, ALICE)
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert peer.names == ["CANCEL", "BYE"]
    peer.respond(peer.request("BYE"), 200, ALICE)
    assert alice.events == [sip.Ended(session, sip.EndReason.LOCAL, None)]
    peer.take()
    peer.respond(reinvite, status, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    alice.wire.run(40.0)
    assert alice.names == ["Ended"]
    assert len(alice.core._sessions) == 0


def test_before_the_answer() -> None:
    alice, peer, session, invite = calling_peer()
    with pytest.raises(LocalSipError):
        _ = alice.find(session).dialog
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=OFFER)
    peer.respond(invite, 180, ALICE)
    peer.take()
    peer.send(peer.in_dialog("BYE", invite, cseq=1), ALICE)
    peer.send(peer.in_dialog("INVITE", invite, cseq=2, body=OFFER), ALICE)
    alice.hang_up(session)
    peer.send(peer.in_dialog("UPDATE", invite, cseq=3, body=OFFER), ALICE)
    assert peer.take() == ["481", "100", "491", "CANCEL", "481"]


def test_bye_before_our_answer() -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    bob.core.ring(bob.session, 0.0)
    bob.wire.run(0.0)
    peer.send(peer.in_dialog("BYE", peer.response(180), cseq=2), BOB)
    assert peer.take() == ["100", "180", "200", "487"]
    assert bob.names == ["InviteReceived", "Cancelled"]


def test_hang_up_before_the_ack() -> None:
    bob, peer, session, response = answered_peer()
    bob.hang_up(session)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    assert peer.take() == ["BYE"]
    bob, peer, session, response = answered_peer()
    bob.hang_up(session)
    bob.wire.run(32.0)
    assert peer.take() == ["200"] * 10 + ["BYE"]


def test_a_session_given_up_while_it_clears() -> None:
    alice, peer, session = offered()
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.hang_up(session)
    alice.wire.run(0.0)
    peer.respond(peer.request("BYE"), 200, ALICE)
    alice.wire.run(31.9)
    assert len(alice.core._sessions) == 1  # the 2xx still has no ACK
    alice.wire.run(32.0)
    assert alice.names == ["OfferReceived", "Ended"]
    assert len(alice.core._sessions) == 0


def test_an_ack_for_nothing_we_sent() -> None:
    bob, peer, _, response = answered_peer()
    peer.send(peer.in_dialog("ACK", response, cseq=2), BOB)
    mallory = "<sip:mallory@example.com>;tag=mallory"
    peer.send(peer.in_dialog("ACK", response, cseq=1, from_=mallory), BOB)
    assert bob.names == []


def test_a_2xx_to_nothing_we_sent() -> None:
    bob, peer, session, response = answered_peer()
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    invite = bob.find(session).dialog.request("INVITE")
    invite.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKno")
    peer.respond(invite, 200, BOB, body=ANSWER)
    assert peer.take() == []
