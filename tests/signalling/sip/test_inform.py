"""What we tell a peer in an UPDATE that offers nothing."""

from typing import Any

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request
from agent.signalling.sip.session_timer import MIN_SE
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Peer,
    Phone,
    answered_peer,
    called_by_peer,
    calling_peer,
    confirmed_with_peer,
)
from tests.signalling.sip.reborn import Keeper

ASK = b"<requestrecording/>"
HOW: dict[str, Any] = {
    "body": ASK,
    "content_type": "application/rs-metadata+xml",
    "headers": (("Content-Disposition", "recording-session"),),
}


def confirmed(allow: str = "") -> tuple[Phone, Peer, str]:
    """Alice, in a call with a peer that says what it takes, or does not."""
    alice, peer, session, invite = calling_peer()
    headers = [("Allow", allow)] if allow else []
    peer.respond(invite, 200, ALICE, body=ANSWER, headers=headers)
    peer.take()
    alice.events.clear()
    return alice, peer, session


def informed(allow: str = "") -> tuple[Phone, Peer, str, Request]:
    alice, peer, session = confirmed(allow)
    alice.core.inform(session, 0.0, **HOW)
    alice.wire.run(0.0)
    return alice, peer, session, peer.request("UPDATE")


@pytest.mark.parametrize("allow", ["", "INVITE, update"])
def test_it_goes_in_an_update_without_an_offer(allow: str) -> None:
    alice, peer, session, update = informed(allow)
    assert update.body == ASK
    assert update.content_type == "application/rs-metadata+xml"
    assert update.headers.get("Content-Disposition") == "recording-session"
    peer.respond(update, 200, ALICE)
    (answered,) = alice.events
    assert answered == sip.InformAnswered(session, 200, answered.response)
    assert answered.response.status == 200


def test_it_is_not_sent_to_who_takes_no_update() -> None:
    alice, peer, session = confirmed("INVITE, ACK, BYE")
    alice.core.inform(session, 0.0, **HOW)
    alice.wire.run(0.0)
    assert peer.take() == []
    assert alice.events == [sip.InformAnswered(session, 405, None)]


@pytest.mark.parametrize("status", [400, 405, 415, 491, 500, 501])
def test_a_refusal_leaves_the_session_as_it_is(status: int) -> None:
    alice, peer, session, update = informed("INVITE, UPDATE")
    peer.respond(update, status, ALICE)
    (answered,) = alice.events
    assert (answered.session, answered.status) == (session, status)
    peer.take()
    alice.core.inform(session, 0.0, **HOW)
    alice.wire.run(0.0)
    assert peer.take() == ([] if status in {405, 501} else ["UPDATE"])
    assert len(alice.core) == 1


def test_silence_leaves_the_session_as_it_is() -> None:
    alice, _, session, _ = informed()
    alice.wire.run(40.0)
    assert alice.events == [sip.InformAnswered(session, 408, None)]
    assert len(alice.core) == 1


def test_a_peer_that_has_lost_the_dialog_loses_the_session() -> None:
    alice, peer, session, update = informed()
    peer.respond(update, 481, ALICE)
    answered, ended = alice.events
    assert answered.status == 481
    assert ended == sip.Ended(session, sip.EndReason.DIALOG_FAILED, None)


def test_a_session_interval_that_is_too_small_is_said_again() -> None:
    alice, peer, session, invite = calling_peer(session_expires=MIN_SE)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    peer.take()
    alice.events.clear()
    alice.core.inform(session, 0.0, **HOW)
    alice.wire.run(0.0)
    peer.respond(peer.request("UPDATE"), 422, ALICE, headers=[("Min-SE", "300")])
    assert alice.events == []
    update = peer.request("UPDATE")
    assert (update.body, update.headers.get("Min-SE")) == (ASK, "300")


def test_an_offer_of_the_peer_that_crosses_it_is_no_glare() -> None:
    alice, peer, session, update = informed()
    offer = peer.in_dialog("INVITE", alice.find(session).invite, cseq=9, body=OFFER)
    peer.send(offer, ALICE)
    assert [type(event) for event in alice.events] == [sip.OfferReceived]
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    assert peer.response(200).body == ANSWER
    peer.respond(update, 491, ALICE)
    assert alice.last == sip.InformAnswered(session, 491, alice.last.response)


def test_it_waits_for_the_answer_to_an_offer_of_ours() -> None:
    alice, peer, session, _ = confirmed_with_peer()
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.core.inform(session, 0.0, **HOW)
    alice.wire.run(0.0)
    assert peer.names == ["INVITE"]
    peer.respond(peer.request("INVITE"), 200, ALICE, body=ANSWER)
    assert peer.names == ["INVITE", "ACK", "UPDATE"]
    assert peer.request("UPDATE").body == ASK


def test_it_waits_for_the_ack() -> None:
    bob, peer, session, response = answered_peer()
    bob.core.inform(session, 0.0, **HOW)
    bob.wire.run(0.0)
    assert peer.take() == []
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    assert peer.request("UPDATE").body == ASK


def test_a_refresh_that_is_due_does_not_take_its_place() -> None:
    bob, peer = called_by_peer()
    allow = [("Allow", "INVITE, UPDATE")]
    peer.send(peer.new_request("INVITE", body=OFFER, headers=allow), BOB)
    bob.answer(bob.session)
    bob.core.inform(bob.session, 0.0, **HOW)
    bob.core.refresh(bob.session, 0.0)
    bob.wire.run(0.0)
    peer.send(peer.in_dialog("ACK", peer.response(200), cseq=1), BOB)
    assert peer.request("UPDATE").body == ASK


def test_a_header_that_would_not_stay_one_line_is_refused_at_once() -> None:
    alice, _, session = confirmed()
    with pytest.raises(LocalSipError):
        alice.core.inform(session, 0.0, **HOW | {"headers": (("X", "a\r\nY: b"),)})


def test_nothing_is_said_in_a_session_that_is_over() -> None:
    alice, peer, session = confirmed()
    alice.hang_up(session)
    alice.core.inform(session, 0.0, **HOW)
    alice.core.inform("never", 0.0, **HOW)
    alice.wire.run(0.0)
    assert peer.take() == ["BYE"]


def test_the_next_process_sends_what_waits() -> None:
    bob, peer, session, response = answered_peer()
    keeper = Keeper(bob, {})
    bob.core.inform(session, 0.0, **HOW)
    keeper.write()
    keeper.kill(sent=False)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    update = peer.request("UPDATE")
    assert update.body == ASK
    keeper.write()
    keeper.kill(sent=True)
    peer.respond(update, 200, BOB)
    assert bob.last == sip.InformAnswered(session, 200, bob.last.response)
