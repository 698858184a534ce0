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


def test_an_offer_that_failed_with_its_connection_was_taken_all_the_same() -> None:
    alice, peer, session, reinvite = reoffered()
    alice.core.connection_lost(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(0.0)
    assert alice.events == [sip.OfferRefused(session, 503)]
    peer.take()
    for _ in range(2):
        # Who hears no ACK for so long ends the call.
        peer.respond(reinvite, 200, ALICE, body=ANSWER)
        assert peer.request("ACK").cseq.number == reinvite.cseq.number
    # It is as we have said.
    again = peer.request("INVITE")
    assert again.body == OFFER
    assert peer.take() == ["ACK", "INVITE", "ACK"]
    peer.respond(again, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    assert [type(event) for event in alice.events[1:]] == [sip.RefreshAnswered]


def test_a_2xx_to_what_we_never_sent_is_nothing() -> None:
    alice, peer, _, reinvite = reoffered()
    never = reinvite.copy()
    never.headers.set("CSeq", f"{reinvite.cseq.number + 1} INVITE")
    never.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnever")
    peer.respond(never, 200, ALICE, body=ANSWER)
    assert peer.take() == []
    assert alice.events == []


def test_without_a_description_of_ours_a_late_2xx_is_acknowledged_only() -> None:
    alice, peer, session, reinvite = reoffered()
    alice.find(session)._offers.description = b""
    alice.core.connection_lost(alice.wire.flow(ALICE, BOB), 0.0)
    peer.respond(reinvite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
