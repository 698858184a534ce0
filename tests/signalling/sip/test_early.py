"""Before the answer: reliable provisional responses, UPDATEs, forks.

RFC 3262, RFC 3311, RFC 3261 section 12.1.
"""

from typing import Any

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.uac import MAX_FORKS, MAX_PRACKS
from agent.signalling.sip.uas import RELIABLE_RING_INTERVAL
from tests.fakes.wire import lose
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    Peer,
    Phone,
    called_by_peer,
    calling_peer,
)

RELIABLE: dict[str, Any] = {"supported": ("100rel",)}
SUPPORTED = ("Supported", "100rel")
REQUIRED = ("Require", "100rel")
CHANGED = b"v=0\r\ns=changed\r\n"
TAKES = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")


def ringing(*, offer: bytes = OFFER, body: bytes = ANSWER) -> tuple[Pair, str, str]:
    """Alice calls Bob, who rings reliably with a description."""
    pair = Pair(alice=RELIABLE, bob=RELIABLE, answers=False)
    ours = pair.alice.call(BOB, body=offer)
    pair.run(0.0)
    theirs = pair.bob.session
    pair.bob.core.ring(theirs, 0.0, status=183, body=body, reliable=True)
    pair.run(0.0)
    return pair, ours, theirs


# -- reliable provisional responses -----------------------------------------------


def test_early_media_is_sure_to_arrive() -> None:
    pair, ours, theirs = ringing()
    assert pair.wire.names() == ["INVITE", "100", "183", "PRACK", "200"]
    assert pair.alice.names == ["Progressed"]
    assert pair.alice.last.response.body == ANSWER
    assert pair.bob.names == ["InviteReceived", "ProvisionalAcknowledged"]
    assert pair.bob.last.request.method == "PRACK"
    pair.bob.answer(theirs)
    pair.run(0.0)
    # The 183 held the answer, and the 200 need not say it again.
    assert ANSWER not in pair.wire.log[-2].data
    assert pair.wire.log[-2].name == "200"
    assert pair.alice.last.response.body == ANSWER
    assert pair.alice.last.response.content_type == "application/sdp"
    assert pair.alice.names == ["Progressed", "Accepted"]
    assert pair.bob.last == sip.Acknowledged(theirs, pair.bob.last.request)
    pair.alice.hang_up(ours)
    pair.run(60.0)
    assert pair.is_clean()


def test_each_later_one_is_acknowledged_too() -> None:
    pair, _, theirs = ringing()
    for status in (180, 182):
        pair.bob.core.ring(theirs, 0.0, status=status, reliable=True)
    pair.run(0.0)
    assert pair.wire.names()[5:] == ["180", "PRACK", "200", "182", "PRACK", "200"]
    assert pair.alice.names == ["Progressed"] * 3


def test_a_second_description_changes_nothing() -> None:
    pair, _, theirs = ringing()
    now = pair.wire.now
    pair.bob.core.ring(theirs, now, status=183, body=CHANGED, reliable=True)
    pair.run(0.0)
    assert pair.alice.names == ["Progressed"] * 2
    assert pair.bob.find(theirs)._offers.description == ANSWER


def test_a_lost_response_comes_again() -> None:
    pair = Pair(alice=RELIABLE, bob=RELIABLE, answers=False, fate=lose("183", times=2))
    pair.alice.call(BOB)
    pair.run(0.0)
    theirs = pair.bob.session
    pair.bob.core.ring(theirs, 0.0, status=183, body=ANSWER, reliable=True)
    pair.bob.answer(theirs)
    pair.run(1.4)
    assert pair.alice.names == []
    pair.run(0.2)
    # The answer waited for the PRACK.
    assert pair.wire.names()[-4:] == ["PRACK", "200", "200", "ACK"]
    assert pair.alice.names == ["Progressed", "Accepted"]
    assert pair.bob.names[1:] == ["ProvisionalAcknowledged", "Acknowledged"]


def test_a_lost_prack_is_sent_again_and_the_response_not_told_again() -> None:
    pair = Pair(alice=RELIABLE, bob=RELIABLE, answers=False, fate=lose("PRACK"))
    pair.alice.call(BOB)
    pair.run(0.0)
    pair.bob.core.ring(pair.bob.session, 0.0, body=ANSWER, reliable=True)
    pair.run(3.0)
    assert pair.wire.names().count("PRACK") == 2
    assert pair.wire.names()[-1] == "200"
    assert pair.alice.names == ["Progressed"]


def test_an_overtaken_response_waits_for_the_one_before() -> None:
    alice, peer, _, invite = calling_peer(**RELIABLE)
    for number, names in ((8, ["PRACK"]), (10, []), (9, ["PRACK"]), (10, ["PRACK"])):
        peer.take()
        lines = [REQUIRED, ("RSeq", str(number))]
        peer.respond(invite, 180, ALICE, headers=lines)
        assert peer.names == names
        if names:
            prack = peer.request("PRACK")
            assert prack.headers.get("RAck") == f"{number} {invite.cseq.number} INVITE"
    assert alice.names == ["Progressed"] * 3


def test_the_offer_may_stand_in_the_response() -> None:
    pair, ours, theirs = ringing(offer=b"", body=OFFER)
    assert pair.wire.names() == ["INVITE", "100", "183"]
    assert pair.alice.last.response.body == OFFER
    # Bob cannot answer before Alice has.
    pair.bob.answer(theirs, body=OFFER)
    pair.run(0.1)
    assert pair.alice.names == ["Progressed"]
    pair.alice.core.acknowledge(ours, 0.0, body=ANSWER)
    with pytest.raises(LocalSipError):
        pair.alice.core.acknowledge(ours, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.bob.events[1].request.body == ANSWER
    assert pair.bob.names[1:] == ["ProvisionalAcknowledged", "Acknowledged"]
    # There is nothing left to be said in the 200 and its ACK.
    assert pair.alice.last.response.body == b""
    assert pair.bob.last.request.body == b""
    assert pair.alice.find(ours)._offers.description == ANSWER
    assert pair.bob.find(theirs)._offers.description == OFFER


def test_without_a_prack_the_call_is_refused() -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    bob.answer(session)
    with pytest.raises(LocalSipError):
        bob.answer(session)
    with pytest.raises(LocalSipError):
        bob.core.ring(session, 0.0)
    bob.wire.run(31.9)
    assert set(peer.take()) == {"100", "183"}
    bob.wire.run(32.0)
    assert peer.names == ["504"]
    assert bob.last == sip.Cancelled(session)
    peer.send(peer.in_dialog("ACK", peer.response(504), cseq=1), BOB)
    bob.wire.run(100.0)
    assert len(bob.core._sessions) == 0


def ringing_for_peer(
    *lines: tuple[str, str], status: int = 180, body: bytes = b"", offer: bytes = OFFER
) -> tuple[Phone, Peer, str]:
    """Bob rings reliably for a peer, by default one that can do that."""
    bob, peer = called_by_peer(**RELIABLE)
    headers = lines or (SUPPORTED, TAKES)
    peer.send(peer.new_request("INVITE", body=offer, headers=headers), BOB)
    bob.core.ring(bob.session, 0.0, status=status, body=body, reliable=True)
    bob.wire.run(0.0)
    return bob, peer, bob.session


def prack(peer: Peer, response: Response, *, cseq: int = 2, **more: Any) -> Request:
    number = response.headers.get("RSeq")
    lines = [("RAck", f"{number} 1 INVITE")]
    return peer.in_dialog("PRACK", response, cseq=cseq, headers=lines, **more)


@pytest.mark.parametrize("deed", ["refuse", "hang up", "CANCEL", "BYE"])
def test_what_waits_for_its_prack_may_end(deed: str) -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    early = peer.response(183)
    bob.answer(session)
    peer.take()
    if deed == "refuse":
        bob.core.refuse(session, 0.0, status=603)
    elif deed == "hang up":
        bob.hang_up(session)
    elif deed == "CANCEL":
        peer.send(peer.new_request("CANCEL", branch="z9hG4bKpeer1"), BOB)
    else:
        peer.send(peer.in_dialog("BYE", early, cseq=2), BOB)
    bob.wire.run(0.0)
    final = {"refuse": "603", "hang up": "480", "CANCEL": "487", "BYE": "487"}[deed]
    assert peer.take()[-1] == final
    told = len(bob.events)
    # RFC 3262 section 3: the PRACK of what was outstanding is no error for being late.
    peer.send(prack(peer, early, cseq=3), BOB)
    assert peer.take() == ["200"]
    peer.send(prack(peer, early, cseq=4), BOB)
    assert peer.take() == ["481"]
    assert len(bob.events) == told
    assert len(bob.core._sessions) == 0


def test_a_late_prack_that_never_comes_is_not_waited_for_for_ever() -> None:
    bob, _, session = ringing_for_peer()
    bob.core.refuse(session, 0.0, status=486)
    bob.wire.run(31.0)
    assert len(bob.core._sessions) == 1
    bob.wire.run(33.0)
    assert len(bob.core._sessions) == 0


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_prack_may_come_after_the_ack(hangs_up: bool) -> None:
    bob, peer, session = ringing_for_peer()
    early = peer.response(180)
    bob.answer(session)
    bob.wire.run(0.0)
    peer.send(peer.in_dialog("ACK", peer.response(200), cseq=1), BOB)
    if hangs_up:
        bob.hang_up(session)
        bob.wire.run(0.0)
    peer.take()
    peer.send(prack(peer, early, cseq=2), BOB)
    assert peer.take() == ["200"]
    peer.send(prack(peer, early, cseq=3), BOB)
    assert peer.take() == ["481"]


def test_a_description_need_not_be_acknowledged_where_there_is_none() -> None:
    bob, peer, session = ringing_for_peer()
    bob.answer(session)
    bob.wire.run(0.0)
    assert peer.take() == ["100", "180", "200"]


def test_a_prack_may_come_after_the_answer() -> None:
    bob, peer, session = ringing_for_peer()
    early = peer.response(180)
    bob.answer(session)
    bob.wire.run(0.0)
    peer.take()
    peer.send(prack(peer, early), BOB)
    assert peer.take() == ["200"]
    assert bob.last == sip.ProvisionalAcknowledged(session, bob.last.request)
    # But only once.
    peer.send(prack(peer, early, cseq=3), BOB)
    assert peer.take() == ["481"]


@pytest.mark.parametrize(
    ("lines", "reliable"),
    [
        ((SUPPORTED,), True),
        ((REQUIRED,), True),
        ((TAKES,), False),
    ],
)
def test_only_who_can_is_rung_reliably(
    lines: tuple[tuple[str, str], ...], *, reliable: bool
) -> None:
    _, peer, _ = ringing_for_peer(*lines)
    headers = peer.response(180).headers
    assert ("RSeq" in headers) == reliable
    assert (headers.get("Require") == "100rel") == reliable


def test_who_demands_it_is_rung_reliably_in_any_case() -> None:
    bob, peer = called_by_peer(**RELIABLE)
    peer.send(peer.new_request("INVITE", headers=[REQUIRED]), BOB)
    bob.core.ring(bob.session, 0.0)
    bob.wire.run(0.0)
    assert "RSeq" in peer.response(180).headers
    bob, peer = called_by_peer(**RELIABLE)
    peer.send(peer.new_request("INVITE", headers=[SUPPORTED]), BOB)
    bob.core.ring(bob.session, 0.0)
    bob.wire.run(0.0)
    assert "RSeq" not in peer.response(180).headers


def test_who_does_not_know_it_refuses_to_be_asked() -> None:
    _, peer = called_by_peer()
    peer.send(peer.new_request("INVITE", headers=[REQUIRED]), BOB)
    assert peer.response(420).headers.get("Unsupported") == "100rel"


def test_proxies_hear_that_it_still_rings() -> None:
    bob, peer, _ = ringing_for_peer()
    peer.send(prack(peer, peer.response(180)), BOB)
    peer.take()
    bob.wire.run(RELIABLE_RING_INTERVAL - 1)
    assert peer.take() == []
    bob.wire.run(RELIABLE_RING_INTERVAL)
    assert peer.names == ["180"]
    peer.send(prack(peer, peer.response(180), cseq=3), BOB)
    assert peer.take() == ["180", "200"]


def test_a_prack_may_change_the_session() -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    peer.send(prack(peer, peer.response(183), body=CHANGED), BOB)
    peer.take()
    assert bob.last.body == CHANGED
    assert bob.last.request.method == "PRACK"
    bob.answer(session)
    bob.core.accept_offer(session, 0.0, body=CHANGED)
    bob.wire.run(0.0)
    final, answer = peer.received
    assert isinstance(final, Response)
    assert (final.cseq.method, final.body) == ("INVITE", b"")
    assert isinstance(answer, Response)
    assert (answer.cseq.method, answer.body) == ("PRACK", CHANGED)


@pytest.mark.parametrize("headers", [[], [("RAck", "1 1 INVITE")], [("RAck", "x")]])
def test_a_stray_prack(headers: list[tuple[str, str]]) -> None:
    _, peer, _ = ringing_for_peer()
    early = peer.response(180)
    peer.take()
    peer.send(peer.in_dialog("PRACK", early, cseq=2, headers=headers), BOB)
    assert peer.take() == ["481"]


def test_a_caller_has_nothing_to_be_acknowledged() -> None:
    _alice, peer, _, invite = calling_peer(**RELIABLE)
    peer.respond(invite, 180, ALICE)
    peer.take()
    peer.send(peer.in_dialog("PRACK", invite, cseq=2), ALICE)
    assert peer.take() == ["481"]


def test_nobody_answers_our_prack() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1")]
    peer.respond(invite, 180, ALICE, headers=lines)
    peer.respond(invite, 200, ALICE, body=ANSWER)
    alice.hang_up(session)
    alice.wire.run(0.0)
    peer.respond(peer.request("BYE"), 200, ALICE)
    alice.wire.run(100.0)
    assert len(alice.core._sessions) == 0
    assert not alice.core._user._owners


def test_a_peer_that_only_rings() -> None:
    alice, peer, _, invite = calling_peer(**RELIABLE)
    for number in range(1, MAX_PRACKS + 9):
        lines = [REQUIRED, ("RSeq", str(number))]
        peer.respond(invite, 180, ALICE, headers=lines)
    assert peer.take().count("PRACK") == MAX_PRACKS
    assert len(alice.events) == MAX_PRACKS


# -- offers before the answer --------------------------------------------------------


def test_the_caller_changes_the_session_before_the_answer() -> None:
    pair, ours, theirs = ringing()
    pair.alice.core.reoffer(ours, 0.0, body=CHANGED)
    pair.run(0.0)
    assert pair.wire.names(source=ALICE)[-1] == "UPDATE"
    assert pair.bob.last.body == CHANGED
    # Another before that is answered must wait.
    pair.alice.core.reoffer(ours, 0.0, body=OFFER)
    pair.bob.core.accept_offer(theirs, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.alice.last == sip.OfferAnswered(ours, pair.alice.last.response)
    assert pair.bob.last.body == OFFER
    pair.bob.core.refuse_offer(theirs, 0.0, status=488)
    pair.run(0.0)
    assert pair.alice.last == sip.OfferRefused(ours, 488)
    pair.bob.answer(theirs)
    pair.run(0.0)
    assert pair.alice.names[-1] == "Accepted"
    # The answer to the INVITE is no longer what they agreed on.
    assert pair.alice.last.response.body == b""


def test_the_callee_changes_the_session_before_the_answer() -> None:
    pair, ours, theirs = ringing()
    pair.bob.core.reoffer(theirs, 0.0, body=CHANGED)
    pair.run(0.0)
    assert pair.alice.last.body == CHANGED
    pair.alice.core.accept_offer(ours, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.bob.names[-1] == "OfferAnswered"


def test_the_callees_offer_waits_for_the_prack() -> None:
    bob, peer, session = ringing_for_peer(status=183, body=ANSWER)
    bob.core.reoffer(session, 0.0, body=CHANGED)
    bob.wire.run(0.0)
    assert "UPDATE" not in peer.names
    peer.send(prack(peer, peer.response(183)), BOB)
    assert peer.names[-2:] == ["200", "UPDATE"]
    assert peer.request("UPDATE").body == CHANGED


def test_both_change_it_before_the_answer() -> None:
    pair, ours, theirs = ringing()
    pair.alice.on = Pair.accept_offers(pair.alice)
    pair.bob.on = Pair.accept_offers(pair.bob)
    pair.alice.core.reoffer(ours, 0.0, body=CHANGED)
    pair.bob.core.reoffer(theirs, 0.0, body=OFFER)
    pair.run(0.0)
    assert pair.wire.names().count("491") == 2
    pair.run(10.0)
    assert pair.alice.names[1:] == pair.bob.names[2:][::-1]
    assert set(pair.alice.names[1:]) == {"OfferAnswered", "OfferReceived"}


def test_without_update_it_waits_for_the_answer() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    with pytest.raises(LocalSipError):
        alice.core.reoffer(session, 0.0, body=CHANGED)
    with pytest.raises(LocalSipError):
        alice.core.refresh(session, 0.0)
    lines = [REQUIRED, ("RSeq", "1")]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    peer.respond(peer.request("PRACK"), 200, ALICE)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(1.0)
    assert peer.take() == ["INVITE", "PRACK"]
    peer.respond(invite, 200, ALICE)
    assert peer.names == ["ACK", "INVITE"]
    assert peer.request("INVITE").body == CHANGED


def test_a_peer_that_takes_no_update_after_all() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1"), TAKES]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(0.0)
    peer.respond(peer.request("UPDATE"), 501, ALICE)
    peer.respond(peer.request("PRACK"), 200, ALICE)
    peer.take()
    alice.wire.run(5.0)
    assert peer.take() == []
    peer.respond(invite, 200, ALICE)
    assert peer.take() == ["ACK", "INVITE"]


def test_a_branch_that_is_over_takes_what_it_was_offered_with_it() -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1"), TAKES]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(0.0)
    peer.respond(invite, 199, ALICE)
    assert alice.last == sip.OfferRefused(session, 487)


@pytest.mark.parametrize("status", [408, 481])
def test_an_early_dialog_is_lost_and_the_call_goes_on(status: int) -> None:
    alice, peer, session, invite = calling_peer(**RELIABLE)
    lines = [REQUIRED, ("RSeq", "1"), TAKES]
    peer.respond(invite, 183, ALICE, headers=lines, body=ANSWER)
    alice.core.reoffer(session, 0.0, body=CHANGED)
    alice.wire.run(0.0)
    if status == 481:
        peer.respond(peer.request("UPDATE"), status, ALICE)
    else:
        alice.wire.run(32.0)
    assert alice.last == sip.OfferRefused(session, 481)
    peer.respond(invite, 200, ALICE)
    assert alice.names[-1] == "Accepted"


def test_the_answer_crosses_an_update() -> None:
    pair, ours, theirs = ringing()
    pair.alice.core.reoffer(ours, 0.0, body=CHANGED)
    pair.bob.answer(theirs)
    pair.run(0.0)
    assert pair.alice.names[-1] == "Accepted"
    assert pair.bob.names[-2:] == ["OfferReceived", "Acknowledged"]
    pair.bob.core.accept_offer(theirs, 0.0, body=ANSWER)
    pair.run(0.0)
    assert pair.alice.names[-1] == "OfferAnswered"
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.is_clean()


# -- forks -----------------------------------------------------------------------------


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
