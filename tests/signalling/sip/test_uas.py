import gc
import weakref

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.session_states import State
from agent.signalling.sip.uas import UasSession
from agent.signalling.sip.uri import parse_uri
from tests.signalling.sip.pair import (
    ANSWER,
    BOB,
    OFFER,
    Peer,
    Phone,
    answered_peer,
    called_by_peer,
)


def ringing() -> tuple[Phone, Peer, str]:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE", cseq=5, body=OFFER), BOB)
    session = bob.session
    bob.core.ring(session, 0.0)
    bob.wire.run(0.0)
    assert peer.names == ["100", "180"]
    return bob, peer, session


def sent(bob: Phone, peer: Peer) -> list[str]:
    bob.wire.run(bob.wire.now)
    return peer.take()


def test_ringing_makes_an_early_dialog() -> None:
    bob, peer, _ = ringing()
    response = peer.response(180)
    assert response.to.tag is not None
    assert str(response.contact) == "<sip:201@192.0.2.2:5060>"
    assert response.headers.get("Server") == "test/2"
    assert bob.names == ["InviteReceived"]


def test_early_media_and_other_headers() -> None:
    bob, peer, session = ringing()
    tag = peer.response(180).to.tag
    bob.core.ring(
        session, 0.0, status=183, body=ANSWER, headers=(("Alert-Info", "<urn:x>"),)
    )
    bob.wire.run(0.0)
    response = peer.response(183)
    assert response.body == ANSWER
    assert response.content_type == "application/sdp"
    assert response.headers.get("Alert-Info") == "<urn:x>"
    assert response.to.tag == tag


def test_a_long_ringing_is_repeated_each_minute() -> None:
    bob, peer, session = ringing()
    peer.take()
    bob.wire.run(150.0)
    assert peer.take() == ["180", "180"]
    bob.answer(session)
    bob.wire.run(150.0)
    peer.take()
    bob.wire.run(181.0)
    assert "180" not in peer.take()


def test_the_2xx_is_sent_until_its_ack() -> None:
    bob, peer, session = ringing()
    bob.core.accept(
        session,
        0.0,
        contact=parse_uri("sip:b@192.0.2.2:5070"),
        body=ANSWER,
        headers=(("Session-ID", "x"),),
    )
    bob.wire.run(3.4)
    assert peer.names == ["100", "180", "200", "200", "200"]
    response = peer.response(200)
    assert str(response.contact) == "<sip:b@192.0.2.2:5070>"
    assert response.headers.get("Session-ID") == "x"
    assert "INVITE" in (response.headers.get("Allow") or "")
    assert bob.names == ["InviteReceived"]
    ack = peer.in_dialog("ACK", response, cseq=5)
    peer.send(ack, BOB)
    peer.send(ack, BOB)
    assert bob.names == ["InviteReceived", "Acknowledged"]
    assert bob.last.request.method == "ACK"
    peer.take()
    bob.wire.run(40.0)
    assert peer.take() == []


def test_our_offer_is_answered_in_the_ack() -> None:
    bob, peer, session, response = answered_peer(body=b"")
    assert response.body == OFFER
    peer.send(peer.in_dialog("ACK", response, cseq=1, body=ANSWER), BOB)
    assert bob.last == sip.Acknowledged(session, bob.last.request)
    assert bob.last.request.body == ANSWER


def test_without_ack_comes_a_bye_after_64_t1() -> None:
    bob, peer, session, _ = answered_peer()
    bob.wire.run(31.9)
    assert bob.names == []
    assert peer.take() == ["200"] * 10
    bob.wire.run(32.0)
    assert peer.names == ["BYE"]
    assert bob.events == [sip.Ended(session, sip.EndReason.NO_ACK, None)]
    assert len(bob.core) == 0
    bye = peer.request("BYE")
    peer.respond(bye, 481, BOB)
    bob.wire.run(80.0)
    assert bob.names == ["Ended"]
    assert len(bob.core._sessions) == 0


def test_hang_up_waits_for_the_ack() -> None:
    bob, peer, session, response = answered_peer()
    bob.core.hang_up(session, 0.0, headers=(("Reason", "Q.850;cause=16"),))
    bob.hang_up(session)
    bob.wire.run(0.4)
    assert peer.take() == []
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    assert peer.names == ["BYE"]
    bye = peer.request("BYE")
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    assert bye.to.tag == "peer"
    assert bob.names == []
    peer.respond(bye, 200, BOB)
    assert bob.events == [sip.Ended(session, sip.EndReason.LOCAL, None)]


def test_hang_up_waits_64_t1_for_the_ack_and_no_longer() -> None:
    bob, peer, session, _ = answered_peer()
    bob.hang_up(session)
    bob.wire.run(31.9)
    assert peer.take() == ["200"] * 10
    bob.wire.run(32.0)
    assert peer.names == ["BYE"]
    bob.wire.run(32.0 + 31.9)
    assert bob.names == []
    bob.wire.run(32.0 + 32.0)
    assert bob.events == [sip.Ended(session, sip.EndReason.LOCAL, None)]


def test_the_peer_hangs_up_while_we_wait_to() -> None:
    bob, peer, session, response = answered_peer()
    bob.hang_up(session)
    peer.send(peer.in_dialog("BYE", response, cseq=2), BOB)
    assert peer.take() == ["200"]
    assert bob.last.reason == "bye"
    bob.wire.run(80.0)
    assert "BYE" not in peer.take()
    assert bob.names == ["Ended"]


def test_the_invite_is_refused() -> None:
    bob, peer, session = ringing()
    bob.core.refuse(
        session, 0.0, status=486, reason="Busy", headers=(("Retry-After", "5"),)
    )
    assert sent(bob, peer) == ["100", "180", "486"]
    assert len(bob.core) == 0
    assert len(bob.core._sessions) == 0
    # All that comes too late does nothing.
    bob.core.refuse(session, 0.0, status=500)
    bob.core.ring(session, 0.0)
    bob.answer(session)
    bob.hang_up(session)
    bob.core.acknowledge(session, 0.0, body=ANSWER)
    bob.core.reoffer(session, 0.0, body=OFFER)
    bob.core.accept_offer(session, 0.0, body=ANSWER)
    bob.core.refuse_offer(session, 0.0, status=488)
    bob.core.answer_request(session, "t1", 0.0, status=200)
    assert sent(bob, peer) == []
    assert bob.names == ["InviteReceived"]


def test_a_refusal_has_its_words() -> None:
    bob, peer, session = ringing()
    bob.core.refuse(
        session, 0.0, status=486, reason="Busy", headers=(("Retry-After", "5"),)
    )
    bob.wire.run(0.0)
    response = peer.response(486)
    assert response.reason == "Busy"
    assert response.headers.get("Retry-After") == "5"
    assert response.to.tag == peer.response(180).to.tag


def test_a_refusal_stays_refused() -> None:
    bob, peer, session = ringing()
    called = bob.find(session)
    assert isinstance(called, UasSession)
    bob.core.refuse(session, 0.0, status=486)
    called.refuse(500, None, (), 0.0)
    called.ring(180, b"", (), 0.0, reliable=False)
    called.accept(bob.contact, ANSWER, (), 0.0)
    called.hang_up((), 0.0)
    assert sent(bob, peer) == ["100", "180", "486"]


def test_hang_up_refuses_what_rings() -> None:
    bob, peer, session = ringing()
    bob.core.hang_up(session, 0.0, headers=(("Reason", "SIP;cause=480"),))
    bob.wire.run(0.0)
    assert peer.response(480).headers.get("Reason") == "SIP;cause=480"
    assert peer.take() == ["100", "180", "480"]
    bob.wire.run(100.0)
    assert "180" not in peer.take()
    assert bob.names == ["InviteReceived"]


def test_the_caller_cancels() -> None:
    bob, peer, session = ringing()
    invite = peer.new_request("CANCEL", cseq=5, branch="z9hG4bKpeer1")
    peer.send(invite, BOB)
    assert sorted(peer.take()) == ["100", "180", "200", "487"]
    assert bob.events[1:] == [sip.Cancelled(session)]
    assert len(bob.core) == 0
    bob.answer(session)
    assert sent(bob, peer) == []


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    bob, peer, session, _ = answered_peer()
    peer.send(peer.new_request("CANCEL", branch="z9hG4bKpeer1"), BOB)
    assert peer.take() == ["200"]
    assert bob.names == []
    assert bob.find(session).state is State.ACCEPTED
    bob.find(session).receive_cancel(bob.find(session)._key, 0.0)
    assert bob.find(session).state is State.ACCEPTED


def test_bye_in_the_early_dialog() -> None:
    bob, peer, session = ringing()
    early = peer.response(180)
    peer.take()
    peer.send(peer.in_dialog("BYE", early, cseq=6), BOB)
    assert peer.take() == ["200", "487"]
    assert bob.events[1:] == [sip.Cancelled(session)]
    assert len(bob.core._sessions) == 0


def test_requests_in_the_early_dialog() -> None:
    bob, peer, _ = ringing()
    early = peer.response(180)
    peer.take()
    peer.send(peer.in_dialog("INFO", early, cseq=6), BOB)
    peer.send(peer.in_dialog("UPDATE", early, cseq=7), BOB)
    peer.send(peer.in_dialog("UPDATE", early, cseq=8, body=OFFER), BOB)
    assert 0 <= int(peer.response(500).headers.get("Retry-After") or "-1") <= 10
    peer.send(peer.in_dialog("PRACK", early, cseq=9), BOB)
    # Another INVITE before the first is answered (section 14.2).
    peer.send(peer.in_dialog("INVITE", early, cseq=10, body=OFFER), BOB)
    assert peer.take() == ["200", "200", "500", "481", "100", "500"]
    assert bob.names == ["InviteReceived", "TargetRefreshed"]


def test_a_network_error_does_not_end_it() -> None:
    bob, peer, session = ringing()
    peer.take()
    bob.core.transport_failed(bob.wire.flow(BOB, peer.address), 0.0)
    bob.answer(session)
    assert sent(bob, peer) == ["200"]
    bob.core.transport_failed(bob.wire.flow(BOB, peer.address), 0.0)
    bob.wire.run(1.0)
    assert peer.take() == ["200"]


@pytest.mark.parametrize("status", [100, 200, 99])
def test_a_provisional_response_is_one(status: int) -> None:
    bob, peer, session = ringing()
    with pytest.raises(LocalSipError):
        bob.core.ring(session, 0.0, status=status)
    assert sent(bob, peer) == ["100", "180"]


@pytest.mark.parametrize("status", [180, 200, 299, 700])
def test_a_refusal_is_one(status: int) -> None:
    bob, _, session = ringing()
    with pytest.raises(LocalSipError):
        bob.core.refuse(session, 0.0, status=status)
    assert bob.find(session).state is State.INCOMING


def test_what_the_state_does_not_allow() -> None:
    bob, peer, session, response = answered_peer()
    with pytest.raises(LocalSipError):
        bob.answer(session)
    with pytest.raises(LocalSipError):
        bob.core.refuse(session, 0.0, status=486)
    with pytest.raises(LocalSipError):
        bob.core.ring(session, 0.0)
    with pytest.raises(LocalSipError):
        bob.core.acknowledge(session, 0.0, body=ANSWER)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    assert bob.names == ["Acknowledged"]


def test_a_broken_header_changes_nothing() -> None:
    bob, peer, session = ringing()
    peer.take()
    broken = (("X", "a\r\nb: c"),)
    with pytest.raises(LocalSipError):
        bob.core.ring(session, 0.0, headers=broken)
    with pytest.raises(LocalSipError):
        bob.answer(session, headers=broken)
    with pytest.raises(LocalSipError):
        bob.core.refuse(session, 0.0, status=486, headers=broken)
    with pytest.raises(LocalSipError):
        bob.core.hang_up(session, 0.0, headers=broken)
    assert sent(bob, peer) == []
    assert bob.find(session).state is State.INCOMING
    bob.answer(session)
    assert sent(bob, peer) == ["200"]
    with pytest.raises(LocalSipError):
        bob.core.hang_up(session, 0.0, headers=broken)
    assert bob.find(session).state is State.ACCEPTED


def test_a_forged_ack_is_nothing() -> None:
    bob, peer, session, response = answered_peer()
    forged = peer.in_dialog("ACK", response, cseq=1)
    for name, value in (
        ("From", "<sip:mallory@example.com>;tag=mallory"),
        ("To", "<sip:201@example.com>;tag=guess"),
        ("CSeq", "2 ACK"),
        ("Call-ID", "other"),
    ):
        ack = forged.copy()
        ack.headers.set(name, value)
        ack.headers.set("Via", f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{name}")
        peer.send(ack, BOB)
    assert bob.names == []
    assert peer.take() == []
    assert bob.find(session).state is State.ACCEPTED


def test_the_caller_cancels_its_re_invite() -> None:
    bob, peer, session, response = answered_peer()
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    reinvite = peer.in_dialog("INVITE", response, cseq=2, body=OFFER)
    peer.send(reinvite, BOB)
    cancel = peer.new_request("CANCEL", cseq=2, branch=reinvite.top_via.branch)
    peer.send(cancel, BOB)
    assert sorted(peer.take()) == ["100", "200", "487"]
    assert bob.find(session).state is State.CONFIRMED


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_the_target_of_an_early_dialog_names_its_transport(transport: str) -> None:
    # Else a PRACK would come by UDP, to a port where nobody reads it.
    bob, peer = called_by_peer()
    invite = peer.new_request("INVITE", body=OFFER)
    bob.core.receive(invite.to_bytes(), Flow(transport, BOB, peer.address), 0.0)
    event = bob.core.next_event()
    assert isinstance(event, sip.InviteReceived)
    bob.core.ring(event.session, 0.0)
    _, (ringing, _) = bob.core.data_to_send()
    contact = parse_message(ringing).contact
    assert str(contact) == f"<sip:201@192.0.2.2:5060;transport={transport}>"


def test_a_session_that_is_over_needs_no_collector() -> None:
    bob, _, session = ringing()
    over = weakref.ref(bob.core._sessions.get(session))
    gc.disable()
    try:
        bob.core.refuse(session, 0.0, status=486)
        bob.wire.run(0.0)
        assert over() is None
    finally:
        gc.enable()
