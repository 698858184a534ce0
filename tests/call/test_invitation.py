import asyncio

from agent.call.invitation import contact
from agent.model.call import Outcome
from agent.signalling.sip import core as sip
from tests.call.site import (
    AGENT,
    OFFICER,
    SECOND,
    SERVICE,
    STRANGER,
    TRUNK,
    Site,
    until,
)

BOTH = (f"sip:201@{OFFICER}", f"sip:202@{SECOND}")


async def test_all_officers_ring_at_once_and_the_first_answer_wins(site: Site) -> None:
    await site.start(inbound={"hunt": "parallel"})
    site.officer.answers = site.second.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    offered = await site.second.heard(sip.InviteReceived)
    answer, _ = site.second.negotiation.answer(offered.request.body)
    site.second.pick_up(answer)
    await site.until_logged("recording_begun")
    await site.officer.heard(sip.Cancelled)
    [cancel] = site.switch.sent("CANCEL", to=OFFICER)
    assert "Call completed elsewhere" in cancel
    assert site.media.begins[0].officers[0].number == "202"
    await until(lambda: len(site.media.open) == 2)
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_a_2xx_that_crosses_the_cancel_is_acked_and_byed(site: Site) -> None:
    await site.start(inbound={"hunt": "parallel"})
    # Both answer at once: whoever is second hears no more than ACK and BYE.
    site.trunk.call()
    await site.until_logged("recording_begun")
    loser = site.second
    await loser.heard(sip.Ended)
    assert site.switch.sent("ACK", to=SECOND)
    assert site.switch.sent("BYE", to=SECOND)
    assert len(site.media.begins) == 1
    assert site.media.begins[0].officers[0].number == "201"
    assert len(site.logged("officer_answered")) == 1
    site.officer.hang_up()
    assert (await site.ended()).cause == "officer-hangup"
    assert not site.media.open
    assert not site.control._calls._by_name


async def test_all_refuse_and_the_caller_hears_what_tells_most(site: Site) -> None:
    await site.start(inbound={"hunt": "parallel"})
    site.officer.refuses, site.second.refuses = 480, 486
    site.trunk.call()
    await until(lambda: ("busy",) in [told[1] for told in site.media.told("play")])
    await site.advance(6)
    assert (await site.ended()).sip_status == 486


async def test_the_congestion_tone_tells_of_a_failed_network(site: Site) -> None:
    await site.start()
    site.officer.refuses = site.second.refuses = 503
    site.trunk.call()
    await until(
        lambda: ("congestion",) in [told[1] for told in site.media.told("play")]
    )
    await site.advance(6)
    ended = await site.trunk.heard(sip.Ended)
    assert "cause=41" in ended.request.headers.get("Reason")


async def test_the_officers_hear_ringing_of_several_once(site: Site) -> None:
    await site.start(
        outbound={"to": BOTH, "hunt": "parallel", "number": "9*", "from_": "trunk"}
    )
    site.officer.answers = site.second.answers = False
    site.trunk.call("900")
    await site.officer.heard(sip.InviteReceived)
    await site.second.heard(sip.InviteReceived)
    await site.trunk.heard(sip.Progressed)
    await site.advance(0)
    assert len(site.trunk.of(sip.Progressed)) == 1


async def test_a_ring_timeout_ends_a_parallel_round(site: Site) -> None:
    await site.start(inbound={"hunt": "parallel", "ring_timeout": 15.0})
    site.officer.answers = site.second.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    await site.second.heard(sip.InviteReceived)
    await site.advance(121)
    await site.officer.heard(sip.Cancelled)
    await site.second.heard(sip.Cancelled)
    await site.advance(6)
    row = await site.ended()
    assert (row.outcome, row.sip_status) == (Outcome.UNANSWERED, 480)


async def test_a_redirection_to_a_peer_is_followed_in_q_order(site: Site) -> None:
    await site.start(
        inbound={"to": (f"sip:201@{OFFICER}",)}, phones={"redirect": "any"}
    )
    site.officer.refuses = 302
    site.officer.redirects = (
        f"<sip:666@{STRANGER}>;q=1.0, <sip:201@{OFFICER}>;q=0.9,"
        f" <sip:202@{SECOND}?Subject=x>;q=0.5, <tel:112>"
    )
    site.trunk.call()
    await site.until_logged("recording_begun")
    [redirected] = site.logged("redirected")
    assert (redirected["asked"], redirected["followed"]) == (4, 2)
    assert len(site.officer.of(sip.InviteReceived)) == 1  # not to itself again
    assert not site.stranger.events
    invite = site.second.of(sip.InviteReceived)[0].request
    assert not invite.uri.headers
    assert site.media.begins[0].officers[0].number == "202"


async def test_a_phone_forwards_no_call_at_the_agencys_cost(site: Site) -> None:
    await site.start(inbound={"to": (f"sip:201@{OFFICER}",)})
    site.officer.refuses = 302
    site.officer.redirects = f"<sip:0700123456@{TRUNK}>, <sip:0700123456@{SECOND}>"
    site.trunk.call()
    await site.until_logged("redirected")
    assert site.logged("redirected")[0]["followed"] == 0
    await site.advance(6)
    assert (await site.ended()).outcome == Outcome.UNANSWERED
    assert not site.second.of(sip.InviteReceived)
    assert not site.trunk.of(sip.InviteReceived)


async def test_a_redirection_elsewhere_counts_as_not_available(site: Site) -> None:
    await site.start(outbound={"to": (f"sip:1@{SECOND}",)})
    site.second.refuses = 301
    site.second.redirects = f"<sip:900@{STRANGER}>"
    site.officer.call("0409876543")
    refused = await site.officer.heard(sip.Refused)
    assert refused.status == 480
    assert not site.stranger.events
    assert (await site.ended()).outcome == Outcome.UNANSWERED


async def test_a_target_that_cannot_be_reached_is_a_bad_gateway(site: Site) -> None:
    await site.start(outbound={"to": ("sip:1@[2001:db8::1]",)})
    site.officer.call("0409876543")
    assert (await site.officer.heard(sip.Refused)).status == 502


async def test_the_contact_is_where_the_flow_ends_here(site: Site) -> None:
    await site.start()
    site.trunk.call(SERVICE)
    await site.until_logged("recording_begun")
    [call] = site.control._calls.values()
    legs = call._legs.all()  # type: ignore[attr-defined]
    assert {str(contact(leg)) for leg in legs} == {f"sip:{AGENT}"}
    await asyncio.sleep(0)
