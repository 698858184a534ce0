"""Several early dialogs of one INVITE."""

import pytest

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.uac import MAX_FORKS
from tests.signalling.sip.early import CHANGED, RELIABLE, REQUIRED, TAKES
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    OFFER,
    Peer,
    Phone,
    calling_peer,
)


def forked(alice: Phone, peer: Peer, invite: Request, tag: str, number: int) -> None:
    lines = [REQUIRED, ("RSeq", str(number)), TAKES]
    peer.respond(invite, 183, ALICE, tag=tag, headers=lines, body=ANSWER)
    assert peer.request("PRACK").to.tag == tag


def test_each_branch_has_numbers_and_offers_of_its_own() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    forked(alice, peer, invite, "one", 7)
    forked(alice, peer, invite, "two", 1)
    update = peer.in_dialog("UPDATE", peer_of(invite, "one"), cseq=1, body=CHANGED)
    peer.send(update, ALICE)
    assert alice.last.body == CHANGED
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    # An offer of ours goes to who was heard from last.
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    assert peer.request("UPDATE").to.tag == "two"
    peer.respond(invite, 200, ALICE, tag="one")
    assert alice.names[-1] == "Accepted"
    assert peer.names[-1] == "ACK"
    peer.respond(invite, 200, ALICE, tag="two", body=ANSWER)
    assert peer.names[-2:] == ["ACK", "BYE"]
    alice.hang_up(session)
    alice.wire.run(200.0)
    assert len(alice.core._sessions) == 0
    assert not alice.core._user._owners


@pytest.mark.parametrize("waits", [False, True])
def test_an_offer_to_a_branch_that_lost_is_refused(*, waits: bool) -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    forked(alice, peer, invite, "one", 7)
    forked(alice, peer, invite, "two", 1)
    if waits:
        # One that cannot be answered yet, for the branch has an offer of its own.
        update = peer.in_dialog("UPDATE", peer_of(invite, "two"), cseq=1, body=CHANGED)
        peer.send(update, ALICE)
    alice.core.reoffer(session, 0.0, body=OFFER)
    peer.respond(invite, 200, ALICE, tag="one")
    assert alice.names[-2:] == ["OfferRefused", "Accepted"]
    # The next one goes to who has answered.
    alice.core.reoffer(session, 0.0, body=OFFER)
    alice.wire.run(0.0)
    assert peer.request("INVITE").to.tag == "one"


def peer_of(invite: Request, tag: str) -> Response:
    """What gives `in_dialog` the tags of that branch."""
    response = Response(183, "Session Progress", invite.headers.copy())
    response.headers.set("To", invite.headers.get("From") or "")
    response.headers.set("From", f"{invite.headers.get('To')};tag={tag}")
    swapped = response.copy()
    swapped.headers.set("From", f"{invite.headers.get('To')};tag={tag}")
    return swapped


def test_an_offer_of_a_branch_that_lost_is_answered() -> None:
    alice, peer, _, invite = calling_peer(**RELIABLE)
    forked(alice, peer, invite, "one", 7)
    forked(alice, peer, invite, "two", 1)
    update = peer.in_dialog("UPDATE", peer_of(invite, "one"), cseq=1, body=CHANGED)
    peer.send(update, ALICE)
    peer.respond(invite, 200, ALICE, tag="two")
    assert "487" in peer.names
    peer.take()
    peer.send(peer.in_dialog("UPDATE", peer_of(invite, "one"), cseq=2), ALICE)
    assert peer.take() == ["481"]


def test_a_branch_may_say_that_it_is_over() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    forked(alice, peer, invite, "one", 7)
    peer.respond(invite, 199, ALICE, tag="one")
    assert alice.last.response.status == 199
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=OFFER)
    peer.take()
    peer.send(peer.in_dialog("UPDATE", peer_of(invite, "one"), cseq=1), ALICE)
    assert peer.take() == ["481"]


def test_only_so_many_branches() -> None:
    alice, peer, _, invite = calling_peer(**RELIABLE)
    for number in range(MAX_FORKS + 3):
        lines = [REQUIRED, ("RSeq", "1")]
        peer.respond(invite, 183, ALICE, tag=f"t{number}", headers=lines)
    # Those beyond are heard, but are not in a dialog with us.
    assert peer.take().count("PRACK") == MAX_FORKS
    assert len(alice.events) == MAX_FORKS + 3
    peer.respond(invite, 180, ALICE, tag=None)
    assert len(alice.events) == MAX_FORKS + 4
