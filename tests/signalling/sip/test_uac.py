import pytest

from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request
from agent.signalling.sip.session_states import State
from agent.signalling.sip.uac import MAX_FORKS, UacSession
from agent.signalling.sip.uri import parse_uri
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Peer,
    Phone,
    calling_peer,
    confirmed_with_peer,
)


def test_the_invite_is_complete() -> None:
    _, _, _, invite = calling_peer()
    assert invite.max_forwards == 70
    assert invite.from_.tag is not None
    assert invite.to.tag is None
    assert str(invite.contact) == "<sip:me@192.0.2.1:5060>"
    assert "UPDATE" in (invite.headers.get("Allow") or "")
    assert invite.headers.get("User-Agent") == "test/1"
    assert invite.content_type == "application/sdp"
    assert invite.body == OFFER


def test_provisional_responses_are_told_but_the_100() -> None:
    alice, peer, session, invite = calling_peer()
    peer.respond(invite, 100, ALICE, tag=None)
    peer.respond(invite, 180, ALICE)
    peer.respond(invite, 183, ALICE, body=ANSWER)
    peer.respond(invite, 183, ALICE, tag=None)
    assert alice.names == ["Progressed"] * 3
    assert [event.response.status for event in alice.events] == [180, 183, 183]
    assert alice.session == session


def test_the_2xx_is_acknowledged_at_the_target() -> None:
    alice, peer, session, invite = calling_peer()
    peer.respond(
        invite,
        200,
        ALICE,
        contact=f"sip:peer@{BOB};x=1",
        headers=[("Record-Route", "<sip:192.0.2.2:5060;lr;r=2>")],
        body=ANSWER,
    )
    assert alice.names == ["Accepted"]
    assert alice.last.session == session
    ack = peer.request("ACK")
    assert str(ack.uri) == "sip:peer@192.0.2.2:5060;x=1"
    assert ack.headers.get_all("Route") == ["<sip:192.0.2.2:5060;lr;r=2>"]
    assert ack.to.tag == "peer"
    assert ack.cseq.number == invite.cseq.number
    assert ack.top_via.branch != invite.top_via.branch


def test_a_2xx_that_comes_again_is_acknowledged_again() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    peer.respond(invite, 200, ALICE, body=ANSWER)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK", "ACK"]
    alice.hang_up(session)
    alice.wire.run(1.0)
    assert peer.take() == ["BYE", "BYE"]
    # Also after the call, until the callee's timers have run out.
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    assert alice.names == []


def test_a_stray_2xx_is_acknowledged_only_if_it_was() -> None:
    alice, peer, _, invite = confirmed_with_peer()
    alice.wire.run(33.0)  # timer M: the transaction is gone
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    peer.respond(invite, 200, ALICE, tag="late", body=ANSWER)
    assert peer.take() == []


def test_a_stray_2xx_before_the_answer_is_nothing() -> None:
    alice, peer, _, invite = calling_peer()
    forged = invite.copy()
    forged.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKforged")
    peer.respond(forged, 200, ALICE, body=ANSWER)
    assert peer.take() == ["INVITE"]
    assert alice.names == []


@pytest.mark.parametrize("status", [302, 401, 404, 486, 487, 503, 603])
def test_a_failure_is_told_with_its_response(status: int) -> None:
    alice, peer, session, invite = calling_peer()
    peer.respond(invite, 180, ALICE)
    peer.respond(invite, status, ALICE)
    assert alice.names == ["Progressed", "Refused"]
    assert alice.last.session == session
    assert (alice.last.status, alice.last.response.status) == (status, status)
    assert peer.names == ["INVITE", "ACK"]
    assert len(alice.core) == 0
    assert len(alice.core._sessions) == 0


def test_nobody_there_is_a_408() -> None:
    alice, _, session, _ = calling_peer()
    alice.wire.run(31.9)
    assert alice.names == []
    alice.wire.run(32.0)
    assert alice.last == sip.Refused(session, 408, None)


def test_no_network_is_a_503() -> None:
    alice, _, session, _ = calling_peer()
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(0.0)
    assert alice.last == sip.Refused(session, 503, None)


def test_hang_up_cancels_once_there_is_a_provisional_response() -> None:
    alice, peer, session, invite = calling_peer()
    alice.core.hang_up(session, 0.0, headers=(("Reason", "SIP;cause=200"),))
    alice.hang_up(session)
    alice.wire.run(0.1)
    assert peer.names == ["INVITE"]
    assert len(alice.core) == 0
    peer.respond(invite, 180, ALICE)
    cancel = peer.request("CANCEL")
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    peer.respond(cancel, 200, ALICE)
    peer.respond(invite, 487, ALICE)
    assert peer.take() == ["INVITE", "CANCEL", "ACK"]
    # The 180 came when nobody was interested any more.
    assert alice.names == ["Refused"]
    assert alice.last.status == 487


def test_a_cancel_that_nobody_heeds_is_a_408() -> None:
    alice, peer, session, invite = calling_peer()
    peer.respond(invite, 180, ALICE)
    alice.hang_up(session)
    alice.wire.run(70.0)
    assert alice.last == sip.Refused(session, 408, None)


@pytest.mark.parametrize("body", [OFFER, b""])
def test_a_2xx_that_crosses_the_cancel_gets_ack_and_bye(body: bytes) -> None:
    alice, peer, session, invite = calling_peer()
    alice.hang_up(session)
    alice.wire.run(0.0)
    peer.respond(invite, 200, ALICE, body=body)
    assert peer.names == ["INVITE", "ACK", "BYE"]
    assert alice.names == ["Refused"]
    assert alice.last == sip.Refused(session, 487, None)
    peer.respond(peer.request("BYE"), 200, ALICE)
    alice.wire.run(40.0)
    assert alice.names == ["Refused"]
    assert len(alice.core._sessions) == 0


def test_the_first_2xx_of_a_fork_wins() -> None:
    alice, peer, session, invite = calling_peer()
    peer.respond(invite, 180, ALICE, tag="one")
    peer.respond(invite, 180, ALICE, tag="two")
    peer.respond(invite, 200, ALICE, tag="two", body=ANSWER)
    peer.take()
    peer.respond(invite, 200, ALICE, tag="one", body=ANSWER)
    assert [message.to.tag for message in peer.received] == ["one", "one"]
    assert peer.names == ["ACK", "BYE"]
    assert peer.request("BYE").cseq.number == invite.cseq.number + 1
    bye = peer.request("BYE")
    peer.take()
    # Sent again, it is acknowledged again, but not hung up again.
    peer.respond(invite, 200, ALICE, tag="one", body=ANSWER)
    assert peer.take() == ["ACK"]
    peer.respond(bye, 200, ALICE)
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert peer.request("BYE").to.tag == "two"
    assert alice.names == ["Progressed", "Progressed", "Accepted"]


def test_a_fork_of_very_many_is_bounded() -> None:
    alice, peer, session, invite = calling_peer()
    for number in range(3 * MAX_FORKS):
        peer.respond(invite, 180, ALICE, tag=f"t{number}")
        peer.respond(invite, 180, ALICE, tag=f"t{number}")
    calling = alice.find(session)
    assert isinstance(calling, UacSession)
    assert len(calling._early) == MAX_FORKS
    for number in range(3 * MAX_FORKS):
        peer.respond(invite, 200, ALICE, tag=f"t{number}", body=ANSWER)
    assert peer.take().count("BYE") == MAX_FORKS
    assert alice.names.count("Accepted") == 1


def test_a_2xx_of_another_invite_is_no_fork() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    other = invite.copy()
    other.headers.set("CSeq", f"{invite.cseq.number + 5} INVITE")
    peer.respond(other, 200, ALICE, tag="other", body=ANSWER)
    assert peer.take() == []
    assert alice.find(session).state is State.CONFIRMED


def test_the_answer_may_be_given_by_hand() -> None:
    alice, peer, session, invite = calling_peer(body=b"")
    assert invite.content_type is None
    peer.take()
    peer.respond(invite, 200, ALICE, body=OFFER)
    peer.respond(invite, 200, ALICE, body=OFFER)
    assert peer.take() == []
    assert alice.names == ["Accepted"]
    alice.core.acknowledge(session, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    assert peer.request("ACK").body == ANSWER
    peer.take()
    peer.respond(invite, 200, ALICE, body=OFFER)
    assert peer.request("ACK").body == ANSWER
    with pytest.raises(LocalSipError):
        alice.core.acknowledge(session, 0.0, body=ANSWER)


def offered() -> tuple[Phone, Peer, str, Request]:
    alice, peer, session, invite = calling_peer(body=b"")
    peer.respond(invite, 200, ALICE, body=OFFER)
    peer.take()
    return alice, peer, session, invite


def test_without_an_answer_the_call_ends_after_64_t1() -> None:
    alice, peer, session, _ = offered()
    alice.wire.run(31.9)
    assert alice.names == ["Accepted"]
    alice.wire.run(32.0)
    assert peer.take() == ["ACK", "BYE"]
    assert alice.last == sip.Ended(session, sip.EndReason.NO_ACK, None)
    alice.wire.run(80.0)
    assert alice.names == ["Accepted", "Ended"]
    assert len(alice.core._sessions) == 0


def test_hang_up_instead_of_the_answer() -> None:
    alice, peer, session, _ = offered()
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert peer.names == ["ACK", "BYE"]
    assert peer.request("ACK").body == b""
    alice.core.acknowledge(session, 0.0, body=ANSWER)
    peer.respond(peer.request("BYE"), 200, ALICE)
    assert alice.last == sip.Ended(session, sip.EndReason.LOCAL, None)


def test_bye_instead_of_the_ack() -> None:
    alice, peer, session, invite = offered()
    peer.send(peer.in_dialog("BYE", invite, cseq=1), ALICE)
    assert peer.take() == ["200"]
    assert alice.last.session == session
    assert alice.last.reason == "bye"
    alice.wire.run(80.0)
    assert alice.names == ["Accepted", "Ended"]
    assert peer.take() == []
    assert len(alice.core._sessions) == 0


def test_no_offer_at_all_is_acknowledged_at_once() -> None:
    alice, peer, _, invite = calling_peer(body=b"")
    peer.respond(invite, 200, ALICE)
    assert peer.names[-1] == "ACK"
    assert alice.names == ["Accepted"]


def test_a_request_in_an_early_dialog() -> None:
    alice, peer, _, invite = calling_peer()
    peer.respond(invite, 180, ALICE)
    peer.take()
    peer.send(peer.in_dialog("INFO", invite, cseq=5), ALICE)
    peer.send(peer.in_dialog("UPDATE", invite, cseq=6), ALICE)
    # Our offer awaits its answer (RFC 3311 section 5.2).
    peer.send(peer.in_dialog("UPDATE", invite, cseq=7, body=OFFER), ALICE)
    # A callee has no BYE to say before it has answered (section 15).
    peer.send(peer.in_dialog("BYE", invite, cseq=8), ALICE)
    assert peer.take() == ["200", "200", "491", "481"]
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    # The dialog is the same one, so its numbers go on.
    peer.send(peer.in_dialog("INFO", invite, cseq=7), ALICE)
    peer.send(peer.in_dialog("INFO", invite, cseq=9), ALICE)
    assert peer.take() == ["500", "200"]
    assert alice.names == ["Progressed", "TargetRefreshed", "Accepted"]


def test_after_the_answer_the_other_early_dialogs_are_gone() -> None:
    _alice, peer, _, invite = calling_peer()
    peer.respond(invite, 180, ALICE, tag="other")
    peer.respond(invite, 200, ALICE, body=ANSWER)
    peer.take()
    request = peer.in_dialog("INFO", invite, cseq=1)
    request.headers.set("From", (request.headers.get("From") or "") + "x")
    peer.send(request, ALICE)
    assert peer.take() == ["481"]


def test_what_only_a_callee_can_do() -> None:
    alice, _, session, _ = calling_peer()
    with pytest.raises(LocalSipError):
        alice.core.ring(session, 0.0)
    with pytest.raises(LocalSipError):
        alice.answer(session)
    with pytest.raises(LocalSipError):
        alice.core.refuse(session, 0.0, status=486)
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=OFFER)
    with pytest.raises(LocalSipError):
        _ = alice.find(session).dialog


def test_a_broken_header_begins_no_call() -> None:
    alice, peer, _, _ = calling_peer()
    peer.take()
    for headers in ([("X", "a\r\nb: c")], [("X", "\ud800")]):
        with pytest.raises(LocalSipError):
            alice.call(BOB, headers=headers)
    alice.wire.run(0.0)
    assert peer.take() == []
    assert len(alice.core) == 1


def test_the_call_takes_its_route_headers_and_hops() -> None:
    alice, peer, _, _ = calling_peer()
    loose = [parse_uri("sip:p1.example.com;lr"), parse_uri("sip:p2.example.com;lr")]
    alice.call(
        BOB, route=loose, headers=[("Session-ID", "x")], max_forwards=12, body=OFFER
    )
    alice.wire.run(0.0)
    invite = peer.request("INVITE")
    assert [str(hop.uri) for hop in invite.route] == [str(uri) for uri in loose]
    assert invite.headers.get("Session-ID") == "x"
    assert invite.max_forwards == 12
    assert str(invite.uri) == "sip:201@192.0.2.2:5060"


def test_requests_go_where_the_contact_says() -> None:
    alice, peer, session, invite = calling_peer()
    peer.respond(invite, 200, ALICE, contact="sip:peer@198.51.100.9:5099", body=ANSWER)
    alice.hang_up(session)
    alice.wire.run(0.0)
    there = Address("198.51.100.9", 5099)
    gone = [p.name for p in alice.wire.log if p.destination == there]
    assert gone == ["ACK", "BYE"]


def test_an_early_wake_does_nothing() -> None:
    alice, peer, session, _ = confirmed_with_peer()
    alice.find(session).handle_timer(1.0)
    assert alice.find(session).get_timer() == 32.0
    alice.wire.run(32.0)
    assert alice.find(session).get_timer() is None
    assert peer.take() == []
