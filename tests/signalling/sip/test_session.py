import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.core import ALLOW
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.session_states import State
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    answered_peer,
    confirmed_with_peer,
)
from tests.signalling.sip.reoffers import HELD, offered, peer_invite, reoffered

# -- other requests in the dialog ---------------------------------------------


def test_lower_numbers_are_refused() -> None:
    alice, peer, _, invite = confirmed_with_peer()
    peer.send(peer.in_dialog("INFO", invite, cseq=20), ALICE)
    peer.send(peer.in_dialog("BYE", invite, cseq=19), ALICE)
    assert peer.take() == ["200", "500"]
    assert alice.names == []


@pytest.mark.parametrize(
    ("method", "status"),
    [
        *[("INFO", "200"), ("PRACK", "481"), ("REFER", "400"), ("NOTIFY", "481")],
        *[("SUBSCRIBE", "489"), ("MESSAGE", "405"), ("STRANGE", "501")],
    ],
)
def test_what_is_answered_without_asking(method: str, status: str) -> None:
    alice, peer, _, invite = confirmed_with_peer()
    peer.send(peer.in_dialog(method, invite, cseq=20), ALICE)
    assert peer.take() == [status]
    assert alice.names == []


def test_options_tells_what_we_can() -> None:
    _alice, peer, _, invite = confirmed_with_peer()
    peer.send(peer.in_dialog("OPTIONS", invite, cseq=20), ALICE)
    headers = peer.response(200).headers
    assert headers.get("Accept") == "application/sdp"
    assert headers.get("Allow") == ", ".join(ALLOW)
    assert "Supported" in headers


def test_an_update_without_an_offer_moves_the_target() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    moved = [("Contact", f"<sip:moved@{BOB}>")]
    peer.send(peer.in_dialog("UPDATE", invite, cseq=20, headers=moved), ALICE)
    assert str(peer.response(200).contact) == "<sip:me@192.0.2.1:5060>"
    assert alice.names == ["TargetRefreshed"]
    assert alice.last.session == session
    assert str(alice.last.request.contact) == moved[0][1]
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert str(peer.request("BYE").uri) == f"sip:moved@{BOB}"


# -- our offers ----------------------------------------------------------------


def test_our_offer_is_answered() -> None:
    alice, peer, session, reinvite = reoffered()
    assert reinvite.body == HELD
    assert reinvite.headers.get("Session-ID") == "x"
    assert "UPDATE" in (reinvite.headers.get("Allow") or "")
    assert str(reinvite.contact) == "<sip:me@192.0.2.1:5060>"
    peer.respond(reinvite, 100, ALICE)
    peer.respond(reinvite, 183, ALICE)
    assert alice.names == []
    peer.respond(reinvite, 200, ALICE, contact=f"sip:moved@{BOB}", body=ANSWER)
    assert alice.names == ["OfferAnswered"]
    assert alice.last.session == session
    assert alice.last.response.body == ANSWER
    assert peer.request("ACK").cseq.number == reinvite.cseq.number
    peer.take()
    peer.respond(reinvite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    assert alice.names == ["OfferAnswered"]
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert str(peer.request("BYE").uri) == f"sip:moved@{BOB}"


@pytest.mark.parametrize("status", [302, 401, 486, 487, 488, 500, 503])
def test_a_refused_offer_leaves_the_session(status: int) -> None:
    alice, peer, session, reinvite = reoffered()
    peer.respond(reinvite, status, ALICE)
    assert alice.events == [sip.OfferRefused(session, status)]
    assert alice.find(session).state is State.CONFIRMED
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    assert peer.take() == ["ACK", "INVITE"]


@pytest.mark.parametrize("status", [408, 481])
def test_the_peer_has_lost_the_dialog(status: int) -> None:
    alice, peer, session, reinvite = reoffered()
    peer.respond(reinvite, status, ALICE)
    assert peer.names == ["ACK", "BYE"]
    assert alice.events == [sip.Ended(session, sip.EndReason.DIALOG_FAILED, None)]
    assert len(alice.core) == 0
    peer.respond(peer.request("BYE"), 481, ALICE)
    alice.wire.run(40.0)
    assert alice.names == ["Ended"]
    assert len(alice.core._sessions) == 0


def test_the_peer_no_longer_answers() -> None:
    alice, _, session, _ = reoffered()
    alice.wire.run(31.9)
    assert alice.names == []
    alice.wire.run(32.0)
    assert alice.events == [sip.Ended(session, sip.EndReason.DIALOG_FAILED, None)]


def test_the_network_refuses_our_offer() -> None:
    alice, _, session, _ = reoffered()
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(0.0)
    assert alice.events == [sip.OfferRefused(session, 503)]


def test_an_offer_that_only_rings_is_cancelled_in_the_end() -> None:
    alice, peer, session, reinvite = reoffered()
    peer.respond(reinvite, 180, ALICE)
    alice.wire.run(32.0)
    assert peer.names == ["CANCEL"]
    peer.respond(peer.request("CANCEL"), 200, ALICE)
    peer.respond(reinvite, 487, ALICE)
    assert alice.events == [sip.OfferRefused(session, 487)]


def test_glare_is_tried_again() -> None:
    alice, peer, session, reinvite = reoffered()
    peer.respond(reinvite, 491, ALICE)
    alice.wire.run(2.0)
    assert peer.take() == ["ACK"]
    assert alice.names == []
    alice.wire.run(4.0)
    again = peer.request("INVITE")
    assert again.body == HELD
    assert again.headers.get("Session-ID") == "x"
    assert again.cseq.number == reinvite.cseq.number + 1
    peer.respond(again, 200, ALICE, body=ANSWER)
    assert alice.names == ["OfferAnswered"]
    assert alice.last.session == session


def test_an_offer_waits_for_the_ack() -> None:
    bob, peer, session, response = answered_peer()
    bob.core.reoffer(session, 0.0, body=HELD)
    bob.wire.run(0.1)
    assert peer.take() == []
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    assert peer.names == ["INVITE"]
    assert peer.request("INVITE").body == HELD


def test_what_cannot_be_offered() -> None:
    alice, peer, session, _ = confirmed_with_peer()
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=b"")
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=OFFER, headers=(("X", "a\nb"),))
    with pytest.raises(LocalSipError):
        alice.core.hang_up(session, 0.0, headers=(("X", "a\nb"),))
    alice.wire.run(10.0)
    assert peer.take() == []
    alice.hang_up(session)
    alice.core.reoffer(session, 10.0, body=OFFER)
    alice.wire.run(10.0)
    assert peer.take() == ["BYE"]


# -- the peer's offers ---------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_the_peers_offer_is_answered(method: str) -> None:
    alice, peer, session = offered(method)
    assert alice.last == sip.OfferReceived(session, HELD, alice.last.request)
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.core.refuse_offer(session, 0.0, status=488)
    alice.wire.run(0.0)
    assert peer.names == ["200"]
    response = peer.response(200)
    assert response.body == ANSWER
    assert str(response.contact) == "<sip:me@192.0.2.1:5060>"
    peer.take()
    alice.wire.run(0.5)
    if method == "UPDATE":
        assert peer.take() == []
        assert alice.names == ["OfferReceived"]
        return
    assert peer.take() == ["200"]
    peer.send(peer.in_dialog("ACK", peer_invite(alice, session), cseq=10), ALICE)
    assert alice.names == ["OfferReceived", "Acknowledged"]
    alice.wire.run(40.0)
    assert peer.take() == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_the_peers_offer_is_refused(method: str) -> None:
    alice, peer, session = offered(method)
    with pytest.raises(LocalSipError):
        alice.core.refuse_offer(session, 0.0, status=200)
    lines = (("Warning", "399 x y"),)
    alice.core.refuse_offer(session, 0.0, status=488, headers=lines)
    alice.wire.run(0.0)
    assert peer.response(488).headers.get("Warning") == "399 x y"
    assert alice.find(session).state is State.CONFIRMED


def test_the_peer_asks_for_our_offer() -> None:
    alice, peer, session = offered(body=b"")
    assert alice.last.body is None
    alice.core.accept_offer(session, 0.0, body=OFFER)
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.wire.run(0.0)
    assert peer.response(200).body == OFFER
    invite = peer_invite(alice, session)
    # Our offer is open until the ACK (RFC 5407 section 3.1.5).
    peer.send(peer.in_dialog("INVITE", invite, cseq=11, body=HELD), ALICE)
    assert peer.take() == ["200", "100", "491"]
    peer.send(peer.in_dialog("ACK", invite, cseq=10, body=ANSWER), ALICE)
    assert alice.last.request.body == ANSWER
    assert peer.take() == ["INVITE"]


def test_a_second_offer_before_the_first_is_answered() -> None:
    alice, peer, session = offered()
    invite = peer_invite(alice, session)
    peer.send(peer.in_dialog("INVITE", invite, cseq=11, body=HELD), ALICE)
    assert 0 <= int(peer.response(500).headers.get("Retry-After") or "-1") <= 10
    peer.send(peer.in_dialog("UPDATE", invite, cseq=12, body=HELD), ALICE)
    assert peer.take() == ["100", "500", "500"]
    assert alice.names == ["OfferReceived"]


def test_the_peers_offer_meets_ours() -> None:
    alice, peer, _, reinvite = reoffered()
    for method in ("INVITE", "UPDATE"):
        cseq = 10 if method == "INVITE" else 11
        peer.send(peer.in_dialog(method, reinvite, cseq=cseq, body=HELD), ALICE)
    assert peer.take() == ["100", "491", "491"]
    assert alice.names == []


def test_an_offer_of_ours_waits_for_the_peers() -> None:
    alice, peer, session = offered("UPDATE")
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    assert peer.take() == []
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    assert peer.take() == ["200", "INVITE"]


def test_the_peer_withdraws_its_offer() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    reinvite = peer.in_dialog("INVITE", invite, cseq=10, body=HELD, branch="z9hG4bKw")
    peer.send(reinvite, ALICE)
    cancel = peer.in_dialog("CANCEL", invite, cseq=10, branch="z9hG4bKw")
    peer.send(cancel, ALICE)
    assert sorted(peer.take()) == ["100", "200", "487"]
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.find(session).receive_cancel("other", 0.0)
    alice.wire.run(0.0)
    assert peer.take() == []
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.wire.run(0.0)
    assert peer.take() == ["INVITE"]


def test_an_update_must_be_answered_in_time() -> None:
    alice, peer, session = offered("UPDATE")
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.wire.run(33.0)
    assert peer.take()[0] == "INVITE"
    alice.core.accept_offer(session, 33.0, body=ANSWER)
    alice.wire.run(33.0)
    assert "200" not in peer.take()


def test_a_re_invite_survives_the_network() -> None:
    alice, peer, session = offered()
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    assert peer.take() == ["200"]


def test_no_ack_for_a_re_invite_ends_the_call() -> None:
    alice, peer, session = offered()
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.wire.run(31.9)
    assert alice.names == ["OfferReceived"]
    alice.wire.run(32.0)
    assert "BYE" in peer.names
    assert alice.last == sip.Ended(session, sip.EndReason.NO_ACK, None)


def test_2xx_without_ack_do_not_pile_up() -> None:
    bob, peer, session, response = answered_peer()
    peer.send(peer.in_dialog("INVITE", response, cseq=2, body=HELD), BOB)
    bob.core.accept_offer(session, 0.0, body=ANSWER)
    peer.send(peer.in_dialog("INVITE", response, cseq=3, body=HELD), BOB)
    assert peer.take() == ["100", "200", "100", "500"]
    for cseq in (1, 2):
        peer.send(peer.in_dialog("ACK", response, cseq=cseq), BOB)
    assert bob.names == ["OfferReceived", "Acknowledged", "Acknowledged"]
    peer.send(peer.in_dialog("INVITE", response, cseq=4, body=HELD), BOB)
    assert bob.names[-1] == "OfferReceived"
