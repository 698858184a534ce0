"""Recording sessions in the user agent core: what a client says, and what it hears."""

import random
from typing import Any

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.authentication import Authenticator, User, Users
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.digest import Algorithm, hash_password
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.inspection import Refusal
from agent.signalling.sip.lockout import Lockout
from agent.signalling.sip.message import Request, Response, response_to
from agent.signalling.sip.nonces import Nonces
from agent.signalling.siprec.body import METADATA_TYPE
from agent.signalling.siprec.recognition import (
    SERVER,
    SIPREC,
    Recognition,
    recognise,
)
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    Peer,
    Phone,
    called_by_peer,
)
from tests.signalling.sip.reborn import Keeper

XML = b"<recording/>"
MARKS = (("Contact", f"<sip:src@{ALICE}>;+sip.src"), ("Require", "siprec"))
ALONE = (("Content-Type", METADATA_TYPE), ("Content-Disposition", "recording-session"))
MIXED = (("Content-Type", "multipart/mixed; boundary=edge"),)
ABLE = {
    "supported": ("timer", "100rel"),
    "understood": (SIPREC,),
    "session_expires": 1800,
}


def mixed(description: bytes = OFFER, metadata: bytes = XML) -> bytes:
    # The line end before a delimiter belongs to that.
    description = description.removesuffix(b"\r\n")
    parts = ((b"application/sdp", description), (METADATA_TYPE.encode(), metadata))
    made = [
        b"--edge\r\nContent-Type: " + kind + b"\r\n\r\n" + body + b"\r\n"
        for kind, body in parts
    ]
    return b"".join(made) + b"--edge--\r\n"


def begun(
    body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), **options: Any
) -> tuple[Phone, Peer]:
    """We, and a client whose INVITE has arrived."""
    bob, peer = called_by_peer(**ABLE | options)
    lines = [*MARKS, *MIXED, *headers]
    peer.send(peer.new_request("INVITE", body=body or mixed(), headers=lines), BOB)
    return bob, peer


def recorded(**options: Any) -> tuple[Phone, Peer, Response]:
    """The same, once we have accepted, and it has acknowledged that."""
    bob, peer = begun(**options)
    bob.answer(bob.session, features=(SERVER,))
    bob.wire.run(0.0)
    response = peer.response(200)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    peer.take()
    return bob, peer, response


def featured(message: Request | Response) -> bool:
    contact = message.contact
    return contact is not None and contact.param(SERVER) is not None


def test_the_invite_is_recognised_and_its_parts_are_told_apart() -> None:
    bob, _ = begun()
    (invited,) = bob.events
    assert recognise(invited.request) is Recognition.STRICT
    assert invited.request.body == OFFER
    assert invited.request.recording_metadata == XML


def test_metadata_alone_make_an_invite_one_without_offer() -> None:
    bob, _ = begun(body=XML, headers=ALONE)
    (invited,) = bob.events
    assert invited.request.body == b""
    assert invited.request.recording_metadata == XML


def test_metadata_make_an_invite_one_of_the_fields_ways() -> None:
    bob, peer = called_by_peer(**ABLE)
    peer.send(peer.new_request("INVITE", body=mixed(), headers=MIXED), BOB)
    assert recognise(bob.last.request) is Recognition.LEGACY


def test_a_large_offer_passes_in_one_datagram() -> None:
    xml = b"<recording>" + b" " * 60_000 + b"</recording>"
    bob, _ = begun(body=mixed(metadata=xml))
    assert bob.last.request.recording_metadata == xml


def test_the_answer_is_a_plain_description() -> None:
    bob, peer = begun()
    bob.answer(bob.session, features=(SERVER,))
    bob.wire.run(0.0)
    response = peer.response(200)
    assert response.content_type == "application/sdp"
    assert response.body == ANSWER
    assert featured(response)
    assert SIPREC not in response.supported
    assert "UPDATE" in (response.headers.get("Allow") or "")


def test_an_invite_without_offer_is_answered_in_its_ack_with_metadata() -> None:
    bob, peer = begun(body=XML, headers=ALONE)
    bob.answer(bob.session, body=OFFER, features=(SERVER,))
    bob.wire.run(0.0)
    ack = peer.in_dialog(
        "ACK", peer.response(200), cseq=1, body=mixed(ANSWER), headers=MIXED
    )
    peer.send(ack, BOB)
    assert isinstance(bob.last, sip.Acknowledged)
    assert bob.last.request.body == ANSWER
    assert bob.last.request.recording_metadata == XML


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_later_offer_brings_metadata(method: str) -> None:
    bob, peer, response = recorded()
    peer.send(
        peer.in_dialog(method, response, cseq=2, body=mixed(), headers=MIXED), BOB
    )
    assert isinstance(bob.last, sip.OfferReceived)
    assert bob.last.body == OFFER
    assert bob.last.request.recording_metadata == XML
    bob.core.accept_offer(bob.session, 0.0, body=ANSWER)
    bob.wire.run(0.0)
    answer = peer.response(200)
    assert (answer.content_type, answer.body) == ("application/sdp", ANSWER)
    assert featured(answer)


def test_an_update_of_metadata_alone_offers_nothing() -> None:
    bob, peer, response = recorded()
    peer.send(peer.in_dialog("UPDATE", response, cseq=2, body=XML, headers=ALONE), BOB)
    assert isinstance(bob.last, sip.TargetRefreshed)
    assert bob.last.request.recording_metadata == XML
    assert peer.response(200).body == b""
    assert featured(peer.response(200))


def test_a_reinvite_of_metadata_alone_asks_for_our_offer() -> None:
    bob, peer, response = recorded()
    peer.send(peer.in_dialog("INVITE", response, cseq=2, body=XML, headers=ALONE), BOB)
    assert isinstance(bob.last, sip.OfferReceived)
    assert bob.last.body is None
    assert bob.last.request.recording_metadata == XML


def test_the_last_metadata_come_with_the_bye() -> None:
    bob, peer, response = recorded()
    peer.send(peer.in_dialog("BYE", response, cseq=2, body=XML, headers=ALONE), BOB)
    assert isinstance(bob.last, sip.Ended)
    assert bob.last.request is not None
    assert bob.last.request.recording_metadata == XML
    assert peer.response(200).body == b""


def test_the_answer_to_a_refresh_of_ours_may_bring_metadata() -> None:
    bob, peer, _ = recorded()
    bob.core.refresh(bob.session, 0.0)
    bob.wire.run(0.0)
    again = peer.request("INVITE")
    assert (again.body, featured(again)) == (ANSWER, True)
    response = response_to(again, 200, headers=MIXED, body=mixed(ANSWER))
    peer.send(response, BOB)
    assert isinstance(bob.last, sip.RefreshAnswered)
    assert bob.last.response.body == ANSWER
    assert bob.last.response.recording_metadata == XML


def test_a_snapshot_is_asked_for_by_what_offers_nothing() -> None:
    bob, peer, _ = recorded()
    ask = {"body": b"<requestsnapshot/>", "content_type": METADATA_TYPE}
    bob.core.inform(bob.session, 0.0, headers=ALONE[1:], **ask)
    bob.wire.run(0.0)
    update = peer.request("UPDATE")
    assert update.content_type == METADATA_TYPE
    assert update.headers.get("Content-Disposition") == "recording-session"
    assert featured(update)


def test_a_session_that_nobody_refreshes_ends() -> None:
    timer = (("Session-Expires", "90;refresher=uac"), ("Supported", "timer"))
    bob, _, response = recorded(headers=timer)
    assert response.headers.get("Session-Expires") == "90;refresher=uac"
    bob.wire.run(90.0)
    assert bob.last == sip.Ended(bob.session, sip.EndReason.SESSION_EXPIRED, None)


def test_our_refresh_says_what_we_are() -> None:
    timer = (
        ("Session-Expires", "90;refresher=uas"),
        ("Supported", "timer"),
        ("Allow", "INVITE, UPDATE"),
    )
    bob, peer, _ = recorded(headers=timer)
    bob.wire.run(46.0)
    update = peer.request("UPDATE")
    assert (update.body, featured(update)) == (b"", True)


def test_a_change_that_meets_our_refresh_is_told_again() -> None:
    """Both offer at once (RFC 3261 section 14.1), for it takes no UPDATE."""
    timer = (("Session-Expires", "90;refresher=uas"), ("Supported", "timer"))
    bob, peer, response = recorded(headers=timer)
    bob.wire.run(46.0)
    ours = peer.request("INVITE")
    change = {"body": mixed(), "headers": MIXED}
    peer.send(peer.in_dialog("INVITE", response, cseq=2, **change), BOB)
    assert peer.response(491).cseq.number == 2
    peer.send(peer.in_dialog("ACK", response, cseq=2), BOB)
    peer.send(response_to(ours, 491), BOB)
    assert "OfferReceived" not in bob.names
    peer.send(peer.in_dialog("INVITE", response, cseq=3, **change), BOB)
    assert isinstance(bob.last, sip.OfferReceived)
    assert bob.last.request.recording_metadata == XML
    bob.core.accept_offer(bob.session, bob.wire.now, body=ANSWER)
    bob.wire.run(bob.wire.now)
    # It refreshes the session, too; ours comes all the same, once that has its ACK.
    peer.send(peer.in_dialog("ACK", response, cseq=3), BOB)
    peer.take()
    bob.wire.run(50.0)
    again = peer.request("INVITE")
    peer.send(response_to(again, 200, body=ANSWER), BOB)
    bob.wire.run(130.0)
    assert "Ended" not in bob.names


def test_a_session_goes_on_in_the_next_process() -> None:
    bob, peer = begun()
    keeper = Keeper(bob, ABLE)
    session = bob.session
    bob.core._touched.add(session)
    bob.answer(session, features=(SERVER,))
    bob.wire.run(0.0)
    response = peer.response(200)
    keeper.write()
    keeper.kill(sent=True)
    peer.send(peer.in_dialog("ACK", response, cseq=1), BOB)
    peer.send(
        peer.in_dialog("INVITE", response, cseq=2, body=mixed(), headers=MIXED), BOB
    )
    assert bob.last.request.recording_metadata == XML
    keeper.write()
    keeper.kill(sent=True)
    bob.core.accept_offer(session, bob.wire.now, body=ANSWER)
    bob.wire.run(bob.wire.now)
    assert featured(peer.response(200))


def test_a_client_may_have_to_prove_who_it_is() -> None:
    word = hash_password(Algorithm.SHA_256, "src", "site", "right")
    users = Users("site", [User("src", {Algorithm.SHA_256: word})])
    judge = Authenticator(
        nonces=Nonces(key=b"k" * 32, rng=random.Random(1)),
        users=Lockout(limit=3),
        sources=Lockout(limit=10),
    )

    def authenticate(
        request: Request, flow: Flow, beginning: sip.Beginning | None, now: float
    ) -> Refusal | None:
        del beginning
        verdict = judge.judge(request, users, flow.remote.host, now)
        return verdict if isinstance(verdict, Refusal) else None

    pair = Pair(
        alice={"credentials_for": lambda _: ClientCredentials("src", "right")},
        bob={"authenticate": authenticate, **ABLE},
    )
    pair.alice.call(
        BOB,
        body=mixed(),
        content_type="multipart/mixed;boundary=edge",
        headers=(("Require", SIPREC),),
    )
    pair.run(1.0)
    assert "401" in [packet.name for packet in pair.wire.log]
    invited = pair.bob.events[0]
    assert isinstance(invited, sip.InviteReceived)
    assert invited.request.recording_metadata == XML
