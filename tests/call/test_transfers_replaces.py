"""A phone takes the place of another: INVITE with Replaces."""

import asyncio

from agent.call.transfers import holds
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import (
    SERVICE,
    Site,
    until,
)
from tests.call.transfers import CUSTOMER, OFFICERS, hold, segments, talking


async def test_a_colleague_takes_a_call_over(site: Site) -> None:
    await talking(site)
    site.second.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    await site.until_logged("recording_begun", 2)
    assert segments(site) == [(1, CUSTOMER, "201"), (2, CUSTOMER, "202")]
    await site.officer.heard(sip.Ended)
    await site.second.heard(sip.Accepted)
    site.second.hang_up()
    assert (await site.ended()).cause == "officer-hangup"
    assert not site.media.open
    assert not site.control._calls._by_name


async def test_a_colleague_picks_up_what_rings_elsewhere(site: Site) -> None:
    await site.start(officers=OFFICERS)
    site.officer.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    await until(lambda: site.control._calls)
    [call] = site.control._calls.values()
    await until(lambda: call._legs.get("b1"))  # type: ignore[attr-defined]
    site.second.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    await site.until_logged("recording_begun")
    await site.officer.heard(sip.Cancelled)
    assert segments(site) == [(1, CUSTOMER, "202")]


async def test_who_may_not_be_recorded_takes_no_recorded_call_over(site: Site) -> None:
    await talking(site, exempt=("202",))
    site.second.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    refused = await site.second.heard(sip.Refused)
    assert refused.status == 403
    assert len(site.media.begins) == 1


async def test_nobody_else_takes_a_call_over(site: Site) -> None:
    await talking(site)
    site.trunk.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    refused = await site.trunk.heard(sip.Refused)
    assert refused.status == 403
    assert site.logged("takeover_refused")


async def test_the_customers_place_is_not_for_a_phone(site: Site) -> None:
    await talking(site, phones={"may_transfer": True})
    site.second.call(SERVICE, headers=[("Replaces", site.trunk.replaces())])
    assert (await site.second.heard(sip.Refused)).status == 403


async def test_a_takeover_without_common_audio(site: Site) -> None:
    await talking(site)
    body = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n"
        b"t=0 0\r\nm=audio 30000 RTP/AVP 18\r\n"
    )
    site.second.call(
        SERVICE, headers=[("Replaces", site.officer.replaces())], body=body
    )
    assert (await site.second.heard(sip.Refused)).status == 488
    assert len(site.media.begins) == 1


async def test_a_takeover_without_ports(site: Site) -> None:
    await talking(site)
    site.media.no_ports = True
    site.second.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    assert (await site.second.heard(sip.Refused)).status == 503


async def test_a_takeover_that_comes_too_late(site: Site) -> None:
    await talking(site)
    site.media.gate = asyncio.Event()
    opened = len(site.media.told("open_leg"))
    site.second.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    await until(lambda: len(site.media.told("open_leg")) > opened)
    site.officer.hang_up()
    await site.until_logged("ended")
    site.media.gate.set()
    assert (await site.second.heard(sip.Refused)).status == 481
    assert not site.media.open


async def test_a_takeover_with_a_late_offer(site: Site) -> None:
    await talking(site)
    site.second.call(
        SERVICE, headers=[("Replaces", site.officer.replaces())], late=True
    )
    await site.until_logged("recording_begun", 2)
    await until(lambda: site.second.direction is Direction.SENDRECV)


async def test_who_holds_is_known_by_what_it_asked(site: Site) -> None:
    await talking(site)
    [call] = site.control._calls.values()
    customer, officer = call._legs.all()  # type: ignore[attr-defined]
    await hold(site.officer)
    assert holds(officer)
    assert not holds(customer)
