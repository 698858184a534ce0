"""What our Contact says that we are, in every message of a dialog."""

from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Request, Response
from tests.signalling.sip.pair import (
    ANSWER,
    BOB,
    OFFER,
    Peer,
    Phone,
    called_by_peer,
)
from tests.signalling.sip.reborn import Keeper

SRS = ("+sip.srs",)


def accepted(**options: object) -> tuple[Phone, Peer, Response]:
    bob, peer = called_by_peer(**options)
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    bob.answer(bob.session, features=SRS)
    bob.wire.run(0.0)
    response = peer.response(200)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    peer.take()
    return bob, peer, response


def featured(message: Request | Response) -> bool:
    contact = message.contact
    assert contact is not None
    return contact.param("+sip.srs") == "" and str(contact.uri).startswith("sip:me@")


def test_it_stands_in_the_answer() -> None:
    _, _, response = accepted()
    assert featured(response)
    assert response.headers.get("Contact") == f"<sip:me@{BOB}>;+sip.srs"


def test_it_stands_in_requests_and_responses_of_the_dialog() -> None:
    bob, peer, response = accepted()
    session = bob.session
    for method in ("UPDATE", "INVITE"):
        cseq = 2 + (method == "INVITE")
        peer.send(peer.in_dialog(method, response, cseq=cseq, body=OFFER), BOB)
        bob.core.accept_offer(session, 0.0, body=ANSWER)
        bob.wire.run(0.0)
        assert featured(peer.response(200))
    peer.send(peer.in_dialog("ACK", response, cseq=3), BOB)
    peer.send(peer.in_dialog("UPDATE", response, cseq=4), BOB)
    assert isinstance(bob.last, sip.TargetRefreshed)
    assert featured(peer.response(200))
    bob.core.inform(session, 0.0, body=b"x", content_type="text/plain")
    bob.wire.run(0.0)
    update = peer.request("UPDATE")
    assert featured(update)
    peer.respond(update, 200, BOB)
    bob.core.reoffer(session, 0.0, body=OFFER)
    bob.wire.run(0.0)
    assert featured(peer.request("INVITE"))


def test_a_call_without_features_has_a_plain_contact() -> None:
    bob, peer = called_by_peer()
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    bob.answer(bob.session)
    bob.wire.run(0.0)
    assert peer.response(200).headers.get("Contact") == f"<sip:me@{BOB}>"


def test_the_next_process_says_it_too() -> None:
    bob, peer, response = accepted()
    keeper = Keeper(bob, {})
    bob.core._touched.add(bob.session)
    keeper.write()
    keeper.kill(sent=False)
    peer.send(peer.in_dialog("UPDATE", response, cseq=2), BOB)
    assert featured(peer.response(200))


def test_an_answer_that_waits_for_its_prack_keeps_it_over_a_death() -> None:
    options = {"supported": ("100rel",)}
    bob, peer = called_by_peer(**options)
    keeper = Keeper(bob, options)
    invite = peer.new_request("INVITE", body=OFFER, headers=[("Require", "100rel")])
    peer.send(invite, BOB)
    bob.core.ring(bob.session, 0.0, status=183, body=ANSWER)
    bob.answer(bob.session, features=SRS)
    bob.wire.run(0.0)
    progress = peer.response(183)
    keeper.write()
    keeper.kill(sent=False)
    rseq = progress.headers.get("RSeq")
    rack = [("RAck", f"{rseq} 1 INVITE")]
    peer.take()
    peer.send(peer.in_dialog("PRACK", progress, cseq=2, headers=rack), BOB)
    accepted = next(
        one
        for one in peer.received
        if isinstance(one, Response) and one.cseq.method == "INVITE"
    )
    assert accepted.status == 200
    assert featured(accepted)


def test_an_option_tag_may_be_required_that_we_do_not_name() -> None:
    bob, peer = called_by_peer(supported=("timer",), understood=("siprec",))
    required = [("Require", "siprec, timer")]
    peer.send(peer.new_request("INVITE", body=OFFER, headers=required), BOB)
    bob.answer(bob.session, features=SRS)
    bob.wire.run(0.0)
    response = peer.response(200)
    assert response.supported == ["timer"]
    assert response.content_type == "application/sdp"
    unknown = [("Require", "siprec, foo")]
    other = peer.new_request("INVITE", call_id="other", headers=unknown)
    peer.send(other, BOB)
    assert peer.response(420).headers.get("Unsupported") == "foo"


def test_an_inquiry_hears_which_bodies_are_taken() -> None:
    _, peer = called_by_peer(accepts=("application/sdp", "multipart/mixed"))
    peer.send(peer.new_request("OPTIONS"), BOB)
    accept = peer.response(200).headers.get("Accept")
    assert accept == "application/sdp, multipart/mixed"


def test_who_sends_another_body_hears_which_are_taken() -> None:
    _, peer = called_by_peer(accepts=("application/sdp", "multipart/mixed"))
    headers = [("Content-Type", "text/plain")]
    peer.send(peer.new_request("INVITE", body=b"x", headers=headers), BOB)
    accept = peer.response(415).headers.get("Accept")
    assert accept == "application/sdp, multipart/mixed"
