"""Attended transfers: two calls become one."""

import pytest

from agent.call.config import RouteConfig
from agent.model.call import Outcome
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import (
    AGENT,
    OFFICER,
    TRUNK,
    Site,
    until,
)
from tests.call.transfers import (
    CUSTOMER,
    INTERNAL,
    OUTSIDE,
    attended,
    consult,
    hold,
    segments,
    talking,
)


async def test_attended_to_a_colleague(site: Site) -> None:
    await talking(site, routes=[INTERNAL])
    call, consultation = await consult(site, "202")
    site.officer.refer(attended(site, "202", consultation), session=call)
    await site.officer.told(200)
    await site.until_logged("recording_begun", 3)
    # The call goes on as it was; the consultation was a call of its own.
    assert segments(site) == [
        (1, CUSTOMER, "201"),
        (1, "202", "201"),
        (2, CUSTOMER, "202"),
    ]
    one, two, three = site.media.begins
    assert one.group == three.group != two.group
    assert site.media.told("move_leg")
    await site.officer.heard(sip.Ended, 2)
    await site.until_logged("ended")
    await until(lambda: site.trunk.direction is Direction.SENDRECV)
    site.second.hang_up()
    await site.until_logged("ended", 2)
    await until(lambda: not site.control._tasks)
    rows = await site.rows()
    assert {(row.outcome, row.cause) for row in rows} == {
        (Outcome.RECORDED, "transferred"),
        (Outcome.RECORDED, "officer-hangup"),
    }
    assert not site.media.open
    assert not site.control._calls._by_name


async def test_attended_asked_for_in_the_consultation(site: Site) -> None:
    await talking(site, routes=[INTERNAL])
    call, consultation = await consult(site, "202")
    site.officer.refer(attended(site, "0401234567", call), session=consultation)
    await site.until_logged("recording_begun", 3)
    one, _, three = site.media.begins
    # The customer's call goes on, whichever dialog the REFER came in.
    assert (one.group, three.segment) == (three.group, 2)
    assert three.officers[0].number == "202"
    site.trunk.hang_up()
    await site.second.heard(sip.Ended)


async def test_attended_to_an_outside_number(site: Site) -> None:
    await talking(site)
    call, consultation = await consult(site, OUTSIDE)
    site.officer.refer(attended(site, OUTSIDE, consultation), session=call)
    await site.officer.told(200)
    await site.officer.heard(sip.Ended, 2)
    await until(lambda: len(site.media.ends) == 2)
    await site.until_logged("ended")
    assert len(site.media.begins) == 2
    assert site.control.active_calls == 1


async def test_an_officer_who_is_handed_to_112_is_not_recorded_with_it(
    site: Site,
) -> None:
    await talking(site, trunk={"may_transfer": True})
    site.trunk.refer(f"sip:112@{AGENT}")
    await site.trunk.heard(sip.InviteReceived)
    await site.until_logged("transfer_answered")
    await until(lambda: site.media.ends)
    plays = len(site.media.told("play"))
    await site.advance(1)
    assert len(site.media.begins) == 1
    assert len(site.media.told("play")) == plays


async def test_attended_with_a_call_that_came_in(site: Site) -> None:
    """202 has rung 201, who gives the customer to 202."""
    route = RouteConfig(
        name="to-201",
        from_="officers",
        number="201",
        direction="outbound",
        to=(f"sip:201@{OFFICER}",),
        notice=("fi.wav",),
    )
    await talking(site, routes=[route])
    call = site.officer.session
    await hold(site.officer)
    site.second.call("201")
    await site.until_logged("recording_begun", 2)
    consultation = site.officer.session
    assert consultation != call
    site.officer.refer(attended(site, "202", consultation), session=call)
    await site.until_logged("recording_begun", 3)
    assert segments(site)[-1] == (2, CUSTOMER, "202")


@pytest.mark.parametrize("which", ["unknown", "own"])
async def test_attended_with_what_is_no_call_of_two(site: Site, which: str) -> None:
    await talking(site)
    call = site.officer.session
    if which == "unknown":
        to = f"sip:202@{AGENT}?Replaces=x%3Bto-tag%3Dy%3Bfrom-tag%3Dz"
    else:
        to = attended(site, "202", call)
    site.officer.refer(to, session=call)
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 481
    assert len(site.media.begins) == 1


async def test_only_who_is_in_both_calls_may_join_them(site: Site) -> None:
    await talking(site)
    site.stranger.address = TRUNK
    named = site.trunk.replaces().replace(";", "%3B").replace("=", "%3D")
    site.second.call(OUTSIDE)
    await site.until_logged("recording_begun", 2)
    site.second.refer(f"sip:1@{AGENT}?Replaces={named}")
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 403
