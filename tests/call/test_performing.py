import asyncio

from agent.model.call import Outcome
from agent.signalling.sip import core as sip
from tests.call.site import Site, until


async def test_who_does_not_answer_in_time_is_followed_by_the_next(site: Site) -> None:
    await site.start(inbound={"ring_timeout": 20.0})
    site.officer.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    await site.advance(21)
    await site.officer.heard(sip.Cancelled)
    await site.until_logged("recording_begun")
    assert site.media.begins[0].officers[0].number == "202"


async def test_nobody_answers_and_the_caller_hears_busy(site: Site) -> None:
    await site.start(inbound={"busy_tone": 5.0})
    site.officer.refuses = site.second.refuses = 486
    site.trunk.call()
    await until(lambda: ("busy",) in [told[1] for told in site.media.told("play")])
    await site.advance(6)
    ended = await site.trunk.heard(sip.Ended)
    assert "cause=17" in ended.request.headers.get("Reason")
    row = await site.ended()
    assert (row.outcome, row.sip_status) == (Outcome.UNANSWERED, 486)


async def test_a_caller_who_leaves_while_ports_are_opened_gets_none(site: Site) -> None:
    await site.start()
    site.media.gate = asyncio.Event()
    site.trunk.call()
    await until(lambda: site.media.told("open_leg"))
    site.trunk.hang_up()
    await site.until_logged("ended")
    site.media.gate.set()
    await until(lambda: not site.control._tasks)
    assert not site.media.open
    assert not site.control._calls._by_name
    assert site.media.verbs["configure"] == 0


async def test_a_caller_who_leaves_while_a_leg_is_opened(site: Site) -> None:
    await site.start()
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    site.media.gate = asyncio.Event()
    await until(lambda: len(site.media.told("open_leg")) == 2)
    site.trunk.hang_up()
    await site.until_logged("ended")
    site.media.gate.set()
    await until(lambda: not site.control._tasks)
    assert not site.media.open
    assert not site.officer.events


async def test_an_officer_who_leaves_while_both_legs_are_opened(site: Site) -> None:
    await site.start()
    site.media.gate = asyncio.Event()
    site.officer.call("0409876543")
    await until(lambda: site.media.told("open_leg"))
    site.officer.hang_up()
    await site.until_logged("ended")
    site.media.gate.set()
    await until(lambda: not site.control._tasks)
    assert not site.media.open
    assert not site.trunk.of(sip.InviteReceived)


async def test_a_target_whose_host_is_looked_up_too_long_is_passed_over(
    site: Site,
) -> None:
    await site.start(inbound={"ring_timeout": 20.0})
    gate = site.agent.held["201"] = asyncio.Event()
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    await site.until_logged("notice_played")
    await site.advance(0)
    await site.advance(21)
    await site.until_logged("recording_begun")
    gate.set()
    await site.until_logged("target_unreachable")
    assert not site.officer.events
    assert len(site.media.open) == 2
