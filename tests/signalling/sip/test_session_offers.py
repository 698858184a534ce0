from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Request
from agent.signalling.sip.renegotiation import MAX_GLARES
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Peer,
    Phone,
    confirmed_with_peer,
)

HELD = b"v=0\r\ns=held\r\n"


def reoffered() -> tuple[Phone, Peer, str, Request]:
    """Alice, who sent a re-INVITE; her session, and the re-INVITE."""
    alice, peer, session, _ = confirmed_with_peer()
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.wire.run(0.0)
    reinvite = peer.request("INVITE")
    peer.take()
    return alice, peer, session, reinvite


def test_offers_go_one_by_one() -> None:
    alice, peer, session, reinvite = reoffered()
    alice.core.reoffer(session, 0.0, body=b"v=never")
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    assert peer.take() == []
    peer.respond(reinvite, 488, ALICE)
    assert peer.request("INVITE").body == OFFER


def test_glare_does_not_last_for_ever() -> None:
    alice, peer, session, reinvite = reoffered()
    for _ in range(MAX_GLARES - 1):
        peer.respond(reinvite, 491, ALICE)
        alice.wire.run(alice.wire.now + 4.0)
        reinvite = peer.request("INVITE")
    peer.respond(reinvite, 491, ALICE)
    assert alice.events == [sip.OfferRefused(session, 491)]


def test_the_target_moves_only_with_our_consent() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    moved = [("Contact", f"<sip:moved@{BOB}>")]
    for cseq, accepted in ((10, False), (11, True)):
        request = peer.in_dialog("UPDATE", invite, cseq=cseq, body=HELD, headers=moved)
        peer.send(request, ALICE)
        if accepted:
            alice.core.accept_offer(session, 0.0, body=ANSWER)
        else:
            alice.core.refuse_offer(session, 0.0, status=488)
        target = str(alice.find(session).dialog.remote_target)
        assert (target == f"sip:moved@{BOB}") == accepted


def test_an_offer_in_another_language() -> None:
    _alice, peer, _, invite = confirmed_with_peer()
    lines = [("Content-Type", "text/plain")]
    request = peer.in_dialog("INVITE", invite, cseq=21, body=b"hold", headers=lines)
    peer.send(request, ALICE)
    assert peer.response(415).headers.get("Accept") == "application/sdp"
