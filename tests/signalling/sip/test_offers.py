import itertools
from typing import Any

import pytest

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.offers import Fate
from tests.fakes.wire import delayed
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    OFFER,
    Pair,
    Peer,
    Phone,
    calling_peer,
)

HELD = b"v=0\r\ns=held\r\n"
TAKES_UPDATE = ("Allow", "INVITE, ACK, BYE, CANCEL, update")
IDENTITY = ("P-Asserted-Identity", "<sip:202@example.com>")


def confirmed(*lines: tuple[str, str]) -> tuple[Phone, Peer, str, Request]:
    """Alice in a call with a peer that says `lines` in its 2xx."""
    alice, peer, session, invite = calling_peer()
    peer.respond(invite, 200, ALICE, headers=lines, body=ANSWER)
    peer.take()
    alice.events.clear()
    return alice, peer, session, invite


def test_an_update_changes_the_session_where_it_is_taken() -> None:
    alice, peer, session, _ = confirmed(TAKES_UPDATE)
    alice.core.reoffer(session, 0.0, body=HELD, update=True)
    alice.wire.run(0.0)
    update = peer.request("UPDATE")
    assert update.body == HELD
    assert "Contact" in update.headers
    moved = f"sip:moved@{BOB}"
    peer.respond(update, 200, ALICE, contact=moved, body=ANSWER)
    assert alice.names == ["OfferAnswered"]
    assert peer.take() == ["UPDATE"]
    alice.hang_up(session)
    alice.wire.run(0.0)
    assert str(peer.request("BYE").uri) == moved


def test_else_it_is_a_re_invite() -> None:
    alice, peer, session, _ = confirmed()
    alice.core.reoffer(session, 0.0, body=HELD, update=True)
    alice.wire.run(0.0)
    assert peer.take() == ["INVITE"]


def test_who_takes_no_update_after_all_gets_a_re_invite() -> None:
    alice, peer, session, _ = confirmed(TAKES_UPDATE)
    alice.core.reoffer(session, 0.0, body=HELD, update=True)
    alice.wire.run(0.0)
    peer.respond(peer.request("UPDATE"), 405, ALICE)
    assert peer.take() == ["UPDATE", "INVITE"]
    assert alice.names == []


def test_a_new_identity_is_told() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.alice.core.refresh(ours, pair.wire.now, headers=(IDENTITY,))
    pair.run(0.0)
    assert pair.wire.names() == ["UPDATE", "200"]
    told = pair.bob.events[0]
    assert isinstance(told, sip.TargetRefreshed)
    assert told.session == theirs
    assert told.request.headers.get("P-Asserted-Identity") == IDENTITY[1]
    assert pair.alice.names == []
    pair.alice.core.refresh("s99", pair.wire.now, headers=(IDENTITY,))
    pair.alice.hang_up(ours)
    pair.alice.core.refresh(ours, pair.wire.now, headers=(IDENTITY,))
    pair.run(0.0)
    assert pair.wire.names().count("UPDATE") == 1


def test_without_update_it_is_told_with_the_old_offer() -> None:
    alice, peer, session, _ = confirmed()
    with pytest.raises(LocalSipError):
        alice.core.refresh(session, 0.0, headers=(("X-Broken", "1\r\nX: 2"),))
    alice.core.refresh(session, 0.0, headers=(IDENTITY,))
    alice.wire.run(0.0)
    invite = peer.request("INVITE")
    assert invite.body == OFFER
    assert invite.headers.get("P-Asserted-Identity") == IDENTITY[1]
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["INVITE", "ACK"]
    assert alice.names == ["RefreshAnswered"]


def test_a_refresh_takes_no_offers_place() -> None:
    alice, peer, session, invite = confirmed()
    peer.send(peer.in_dialog("INVITE", invite, cseq=5, body=HELD), ALICE)
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.core.refresh(session, 0.0, headers=(IDENTITY,))
    alice.core.accept_offer(session, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    peer.send(peer.in_dialog("ACK", invite, cseq=5), ALICE)
    again = peer.request("INVITE")
    assert again.body == HELD
    assert again.headers.get("P-Asserted-Identity") == IDENTITY[1]
    peer.respond(again, 200, ALICE, body=ANSWER)
    assert alice.names[-1] == "OfferAnswered"


@pytest.mark.parametrize("body", [ANSWER, b""])
def test_a_refresh_may_be_refused(body: bytes) -> None:
    alice, peer, session, _ = confirmed(TAKES_UPDATE) if not body else confirmed()
    alice.core.refresh(session, 0.0)
    alice.wire.run(0.0)
    peer.respond(peer.received[0], 488, ALICE)  # type: ignore[arg-type]
    assert alice.names == []
    assert len(alice.core) == 1


def test_a_refresh_waits_while_the_peer_awaits_our_answer() -> None:
    alice, peer, session, invite = confirmed(TAKES_UPDATE)
    peer.send(peer.in_dialog("INVITE", invite, cseq=5, body=HELD), ALICE)
    peer.take()
    alice.core.refresh(session, 0.0)
    alice.wire.run(1.0)
    assert peer.take() == []
    alice.core.accept_offer(session, 1.0, body=ANSWER)
    alice.wire.run(1.0)
    assert peer.take() == ["200"]
    peer.send(peer.in_dialog("ACK", invite, cseq=5), ALICE)
    assert peer.take() == ["UPDATE"]


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [("0", 1.0), ("3", 3.0), ("10 (busy)", 10.0), ("11", None), ("x", None)],
)
def test_the_peer_says_when_to_try_again(wait: str, seconds: float | None) -> None:
    alice, peer, session, _ = confirmed()
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.wire.run(0.0)
    lines = [("Retry-After", wait)]
    peer.respond(peer.request("INVITE"), 500, ALICE, headers=lines)
    assert peer.take() == ["INVITE", "ACK"]
    if seconds is None:
        assert alice.events == [sip.OfferRefused(session, 500)]
        return
    alice.wire.run(seconds - 0.1)
    assert peer.take() == []
    alice.wire.run(seconds)
    assert peer.take() == ["INVITE"]
    assert alice.names == []


def test_a_refresh_of_a_dialog_that_is_lost_ends_it() -> None:
    alice, peer, session, _ = confirmed(TAKES_UPDATE)
    alice.core.refresh(session, 0.0)
    alice.wire.run(0.0)
    peer.respond(peer.request("UPDATE"), 481, ALICE)
    assert alice.last == sip.Ended(session, sip.EndReason.DIALOG_FAILED, None)
    assert peer.take() == ["UPDATE", "BYE"]


def test_an_update_that_crosses_a_re_invite_gives_way() -> None:
    alice, peer, session, invite = confirmed(TAKES_UPDATE)
    alice.core.reoffer(session, 0.0, body=HELD)
    alice.wire.run(0.0)
    peer.send(peer.in_dialog("UPDATE", invite, cseq=5, body=OFFER), ALICE)
    assert peer.take() == ["INVITE", "491"]
    # Without an offer there is nothing to give way to.
    peer.send(peer.in_dialog("UPDATE", invite, cseq=6), ALICE)
    assert peer.take() == ["200"]


def test_a_second_offer_before_the_first_is_answered() -> None:
    alice, peer, session, invite = confirmed(TAKES_UPDATE)
    numbers = itertools.count(5)
    for first, second in itertools.product(("INVITE", "UPDATE"), repeat=2):
        peer.send(peer.in_dialog(first, invite, cseq=next(numbers), body=HELD), ALICE)
        peer.take()
        peer.send(peer.in_dialog(second, invite, cseq=next(numbers), body=HELD), ALICE)
        refused = peer.response(500)
        assert 0 <= int(refused.headers.get("Retry-After") or "-1") <= 10
        peer.take()
        alice.core.refuse_offer(session, 0.0, status=488)
        alice.wire.run(0.0)
        assert peer.take() == ["488"]


METHODS = ("INVITE", "UPDATE")


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(METHODS, METHODS)))
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_offers_that_cross_are_both_answered_in_the_end(
    ours: str, theirs: str, delay: float
) -> None:
    pair = Pair(fate=delayed(delay))
    alice, bob = pair.establish()
    pair.alice.on = Pair.accept_offers(pair.alice)
    now = pair.wire.now
    for phone, session, method in ((pair.alice, alice, ours), (pair.bob, bob, theirs)):
        update: Any = {"update": method == "UPDATE"}
        phone.core.reoffer(session, now, body=HELD, **update)
    pair.run(10.0)
    assert pair.wire.names().count("491") == 2
    for phone in (pair.alice, pair.bob):
        assert sorted(set(phone.names) - {"Acknowledged"}) == [
            "OfferAnswered",
            "OfferReceived",
        ]


def test_what_is_not_ours_is_left_alone() -> None:
    alice, peer, session, invite = confirmed()
    response = peer.in_dialog("INFO", invite, cseq=5)
    offers = alice.find(session)._offers
    answer = response_to(response, 200)
    unknown = (Fate.UNKNOWN, None)
    assert offers.receive_response("t99", answer, 0.0, over=False) == unknown
    assert offers.transaction_failed("t99", 408, 0.0, over=False) is Fate.UNKNOWN
