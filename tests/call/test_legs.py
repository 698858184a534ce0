from typing import Any

import pytest

from agent.model.media import Address, Direction
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sip import core as sip
from tests.call.site import Site, until


def calls_legs(site: Site) -> tuple[Any, Any, Any]:
    """The legs object of the one call, and its two talking legs."""
    [call] = site.control._calls.values()
    legs = call._legs  # type: ignore[attr-defined]
    return legs, legs.first, legs.all()[-1]


async def test_a_hold_is_answered_and_passed_on(site: Site) -> None:
    await site.start()
    await site.talk()
    site.trunk.change(Direction.SENDONLY)
    await site.trunk.heard(sip.OfferAnswered)
    assert site.trunk.direction is Direction.SENDONLY
    offer = await site.officer.heard(sip.OfferReceived)
    assert b"a=sendonly" in offer.body
    await until(lambda: site.officer.direction is Direction.RECVONLY)
    site.trunk.change(Direction.SENDRECV)
    await site.officer.heard(sip.OfferReceived, 2)
    await until(lambda: site.officer.direction is Direction.SENDRECV)
    await site.until_logged("resumed")


async def test_a_resume_waits_for_the_answer_to_the_hold(site: Site) -> None:
    await site.start()
    await site.talk()
    site.officer.holds_back = True
    site.trunk.change(Direction.SENDONLY)
    await site.trunk.heard(sip.OfferAnswered)
    hold = await site.officer.heard(sip.OfferReceived)
    site.trunk.change(Direction.SENDRECV)
    await site.trunk.heard(sip.OfferAnswered, 2)
    site.officer.holds_back = False
    site.officer.accept_change(hold)
    resume = await site.officer.heard(sip.OfferReceived, 2)
    assert b"a=sendrecv" in resume.body
    await site.until_logged("resumed")
    assert site.officer.direction is Direction.SENDRECV


async def test_a_hold_taken_back_in_time_is_not_offered_twice(site: Site) -> None:
    await site.start()
    await site.talk()
    site.officer.holds_back = True
    site.trunk.change(Direction.SENDONLY)
    hold = await site.officer.heard(sip.OfferReceived)
    site.trunk.change(Direction.SENDRECV)
    await site.trunk.heard(sip.OfferAnswered, 2)
    site.officer.core.refuse_offer(hold.session, site.officer.agent.now, status=488)
    site.officer.agent.flush()
    await until(lambda: not calls_legs(site)[2].negotiation.pending)
    assert calls_legs(site)[2].wanted is None
    assert len(site.officer.of(sip.OfferReceived)) == 1


async def test_a_hold_that_is_refused_leaves_the_other_as_it_was(site: Site) -> None:
    await site.start()
    await site.talk()
    site.officer.refuses_offers = 488
    site.trunk.change(Direction.SENDONLY)
    await site.officer.heard(sip.OfferReceived)
    await site.until_logged("held")
    await until(lambda: not calls_legs(site)[2].negotiation.pending)
    assert calls_legs(site)[2].audio.direction is Direction.SENDRECV
    site.trunk.change(Direction.SENDRECV)
    await site.until_logged("resumed")
    assert len(site.officer.of(sip.OfferReceived)) == 1


async def test_offers_that_cross_are_refused_491(site: Site) -> None:
    await site.start()
    await site.talk()
    site.officer.holds_back = True
    site.trunk.change(Direction.SENDONLY)
    await site.officer.heard(sip.OfferReceived)
    # Our offer is on its way to the officer, whose own would cross it.
    legs, _, officer = calls_legs(site)
    body = OfferAnswer(
        address=site.officer.negotiation.state.stream.address,
        session_id=9,
        codecs=site.officer.codecs,
    ).offer()
    legs.offered(officer, body, None)
    legs.offered(officer, None, None)
    assert not officer.awaits_answer
    entries = site.logged("offer_unusable")
    assert [e["reason"] for e in entries] == [
        "Offers have crossed.",
        "An offer is unanswered.",
    ]


async def test_an_unusable_offer_is_refused_and_the_call_goes_on(site: Site) -> None:
    await site.start()
    await site.talk()
    site.trunk.core.reoffer(
        site.trunk.session, site.trunk.agent.now, body=b"v=0\r\nnonsense\r\n"
    )
    site.trunk.agent.flush()
    refused = await site.trunk.heard(sip.OfferRefused)
    assert refused.status == 488
    assert not site.logged("ended")


async def test_an_unusable_answer_to_a_hold_is_passed_over(site: Site) -> None:
    await site.start()
    await site.talk()
    site.officer.holds_back = True
    site.trunk.change(Direction.SENDONLY)
    offer = await site.officer.heard(sip.OfferReceived)
    site.officer.core.accept_offer(
        offer.session, site.officer.agent.now, body=b"v=0\r\nnonsense\r\n"
    )
    site.officer.agent.flush()
    await site.until_logged("answer_unusable")
    _, _, officer = calls_legs(site)
    assert not officer.negotiation.pending
    assert officer.audio.direction is Direction.SENDRECV


async def test_a_party_may_ask_for_an_offer_of_ours(site: Site) -> None:
    await site.start()
    await site.talk()
    legs, first, _ = calls_legs(site)
    accepted = site.switch.sent("INVITE")
    assert accepted
    # A re-INVITE without a description, as transfers begin.
    session = site.trunk.core._sessions.get(site.trunk.session)
    assert session is not None
    request = session.dialog.request("INVITE", headers=())
    request = type(request)("INVITE", request.uri, request.headers, b"")
    legs.offered(first, None, None)
    assert first.awaits_answer
    answer, _ = site.trunk.negotiation.answer(first.negotiation.state.own.sent)
    assert legs.acknowledged(first, answer)
    assert not first.awaits_answer
    # The same again, and the answer does not come: the session stays as it was.
    legs.offered(first, None, None)
    assert legs.acknowledged(first, b"")
    assert not first.negotiation.pending
    await site.until_logged("answer_unusable")


async def test_what_comes_for_a_leg_without_negotiation(site: Site) -> None:
    await site.start()
    site.trunk.call()
    await until(lambda: site.control._calls)
    legs, first, _ = calls_legs(site)
    first.negotiation = None
    legs.offered(first, b"x", None)
    legs.offer_answered(first, b"x")
    legs.offer_refused(first)
    assert legs.acknowledged(first, b"")
    assert legs.get("b9") is None
    assert legs.of_session("s99") is None


async def test_a_media_address_the_workers_refuse_is_an_unusable_answer(
    site: Site,
) -> None:
    await site.start()
    site.media.unreachable = {"192.0.2.20"}
    site.trunk.call()
    await site.until_logged("answer_unusable")
    await site.until_logged("recording_begun")
    assert site.media.begins[0].officers[0].number == "202"


async def test_a_leg_that_is_gone_is_not_configured(site: Site) -> None:
    await site.start()
    await site.talk()
    legs, first, officer = calls_legs(site)
    before = site.media.verbs["configure"]
    legs.close_media(officer)
    legs.close_media(officer)
    offer = site.officer.negotiation.offer()
    legs.offered(officer, offer, first)
    assert site.media.verbs["configure"] == before
    assert site.media.verbs["close_leg"] == 1


async def test_a_hold_that_cannot_be_sent_is_told(site: Site) -> None:
    await site.start()
    await site.talk()
    legs, first, officer = calls_legs(site)
    site.officer.answers = False
    # A session of ours that is not answered yet can take no offer.
    officer.session = site.core.invite(
        uri=site.officer.uri,
        flow=officer.flow,
        from_=site.trunk.of(sip.Accepted)[0].response.to,
        to=site.trunk.of(sip.Accepted)[0].response.to,
        contact=site.officer.uri,
        body=b"x",
        now=site.agent.now,
    )
    site.core._sessions.get(officer.session)
    officer.wanted = Direction.SENDONLY
    legs._offer_wanted(officer)
    assert site.logged("hold_not_passed")
    assert not officer.negotiation.pending
    assert first.audio.direction is Direction.SENDRECV


async def test_a_target_that_answers_without_media_of_ours(site: Site) -> None:
    await site.start()
    site.trunk.call()
    await until(lambda: site.control._calls)
    legs, first, _ = calls_legs(site)
    first.local = None
    first.negotiation = None
    with pytest.raises(NotAcceptableError, match="no media"):
        legs.describe_first(None)
    with pytest.raises(NotAcceptableError, match="no media"):
        legs.answered(first, b"x")


async def test_two_holds_at_once_settle(site: Site) -> None:
    await site.start()
    await site.talk()
    # Both ask at the same moment: what we pass on meets the other's own offer.
    site.trunk.change(Direction.SENDONLY)
    site.officer.change(Direction.SENDONLY)
    for _ in range(30):
        await site.advance(0.5)
    await site.trunk.heard(sip.OfferAnswered)
    legs, first, officer = calls_legs(site)
    assert not first.negotiation.pending
    assert not officer.negotiation.pending
    assert first.wanted is None
    assert officer.wanted is None
    assert not site.logged("call_failed")
    assert site.logged("held")
    assert not site.logged("ended")
    assert len(legs.all()) == 2


async def test_a_2xx_without_a_description_after_a_183_with_one(site: Site) -> None:
    await site.start()
    site.trunk.early = True
    site.trunk.answer_body = b""
    site.officer.call("0409876543")
    await site.until_logged("recording_begun")
    assert not site.logged("answer_unusable")


async def test_a_party_asks_for_an_offer_over_the_wire(site: Site) -> None:
    await site.start()
    await site.talk()
    session = site.trunk.core._sessions.get(site.trunk.session)
    assert session is not None
    session._link.send("INVITE", site.trunk.agent.now, owned=False)
    site.trunk.agent.flush()
    _, first, _ = calls_legs(site)
    await until(lambda: first.awaits_answer)
    # No ACK comes, so the call is given up: nobody knows what was agreed.
    for _ in range(12):
        await site.advance(4)
    row = await site.ended()
    assert row.cause == "signalling-timeout"


async def test_an_answer_to_a_refresh_may_move_the_media(site: Site) -> None:
    await site.start()
    await site.talk()
    legs, _, officer = calls_legs(site)
    configured = len(site.media.told("configure"))
    before = officer.audio
    answer, _ = site.officer.negotiation.answer(officer.negotiation.state.own.sent)
    legs.refreshed(officer, answer)
    assert officer.audio == before
    assert len(site.media.told("configure")) == configured
    legs.refreshed(officer, answer.replace(b"m=audio 30000", b"m=audio 31000"))
    assert officer.audio.remote.port == 31000
    assert len(site.media.told("configure")) == configured + 1
    legs.refreshed(officer, b"v=0\r\nnonsense\r\n")
    await site.until_logged("answer_unusable")
    # Nothing, or what an offer of ours is about to change, is not looked at.
    legs.refreshed(officer, b"")
    officer.negotiation.offer()
    legs.refreshed(officer, answer)
    assert officer.audio.remote.port == 31000


async def test_a_refresh_is_heard_of_over_the_wire(site: Site) -> None:
    await site.start()
    await site.talk()
    _, _, officer = calls_legs(site)
    core = site.control._joint.user_agent.core
    core._sessions.get(officer.session)._link.takes = frozenset()
    site.officer.negotiation._stream.address = Address("192.0.2.20", 31000)
    core.refresh(officer.session, site.control._joint.user_agent.now)
    site.control._joint.user_agent.flush()
    await until(lambda: officer.audio.remote.port == 31000)
