"""Transfers through the real call control, with parties that ask for them."""

import asyncio
from typing import Any

import pytest

from agent.call import transfers
from agent.call.config import RouteConfig
from agent.call.transfers import holds
from agent.identity.directory import OfficerEntry
from agent.model.call import Outcome
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import (
    AGENT,
    OFFICER,
    SECOND,
    SERVICE,
    TRUNK,
    Party,
    Site,
    key,
    until,
)

OFFICERS = [
    OfficerEntry("201", "One", str(key(seed=3))),
    OfficerEntry("202", "Two", str(key(seed=4))),
    OfficerEntry("203", "Three", str(key(seed=5))),
]
INTERNAL = RouteConfig(
    name="internal",
    from_="officers",
    number="202",
    direction="outbound",
    to=(f"sip:202@{SECOND}",),
    notice=("fi.wav",),
)
OUTSIDE = "0409876543"


async def talking(site: Site, **options: Any) -> None:
    """A customer talks with officer 201, being recorded."""
    await site.start(**({"officers": OFFICERS} | options))
    await site.talk()


async def hold(party: Party) -> None:
    count = len(party.of(sip.OfferAnswered))
    party.change(Direction.SENDONLY)
    await party.heard(sip.OfferAnswered, count + 1)


async def consult(site: Site, number: str, begun: int = 2) -> tuple[str, str]:
    """201 holds the customer and rings someone else; returns both its sessions."""
    customer = site.officer.session
    await hold(site.officer)
    site.officer.call(number)
    await site.until_logged("recording_begun", begun)
    return customer, site.officer.session


def attended(site: Site, number: str, session: str) -> str:
    named = site.officer.replaces(session)
    return (
        f"sip:{number}@{AGENT}?Replaces={named.replace(';', '%3B').replace('=', '%3D')}"
    )


def segments(site: Site) -> list[tuple[int, str, str]]:
    """(segment, caller, officer) of everything recorded, in the order of beginning."""
    return [(b.segment, b.caller, b.officers[0].number) for b in site.media.begins]


CUSTOMER = "+358401234567"


async def test_blind_to_a_colleague(site: Site) -> None:
    await talking(site)
    site.officer.refer(f"sip:202@{AGENT}")
    await site.officer.told(100)
    await site.officer.told(180)
    await site.officer.told(200)
    await site.officer.heard(sip.Ended)
    await site.until_logged("recording_begun", 2)
    assert segments(site) == [(1, CUSTOMER, "201"), (2, CUSTOMER, "202")]
    assert len({begin.group for begin in site.media.begins}) == 1
    assert [end.cause for end in site.media.ends] == ["transferred"]
    # The colleague is told who is calling.
    invite = site.second.of(sip.InviteReceived)[0].request
    assert invite.from_.uri.user == "0401234567"
    customer = site.media.told("start_recording")[0][1][0]
    assert site.media.told("bridge")[-1][0] == customer
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "caller-hangup")
    assert not site.media.open
    assert not site.control._calls._by_name


async def test_blind_from_hold_frees_the_customer(site: Site) -> None:
    await talking(site)
    await hold(site.officer)
    await until(lambda: site.trunk.direction is Direction.RECVONLY)
    site.officer.refer(f"sip:202@{AGENT}")
    await site.until_logged("recording_begun", 2)
    await until(lambda: site.trunk.direction is Direction.SENDRECV)
    # What the new officer says is recorded from the answer, held or not before.
    assert len(site.logged("held")) == 1
    assert not site.logged("resumed")


@pytest.mark.parametrize("direction", [Direction.SENDONLY, Direction.INACTIVE])
async def test_who_waits_for_the_target_hears_that_it_rings(
    site: Site, direction: Direction
) -> None:
    await talking(site)
    site.second.answers = False
    site.officer.change(direction)
    await site.officer.heard(sip.OfferAnswered)
    site.officer.refer(f"sip:202@{AGENT}")
    await site.second.heard(sip.InviteReceived)
    assert site.media.told("play")[-1][1] == ("ringback",)
    await until(
        lambda: (
            site.trunk.direction
            in {
                Direction.RECVONLY,
                Direction.SENDRECV,
            }
        )
    )


async def test_the_transferor_leaves_before_the_target_answers(site: Site) -> None:
    await talking(site)
    site.second.answers = False
    site.officer.refer(f"sip:202@{AGENT}")
    invited = await site.second.heard(sip.InviteReceived)
    site.officer.hang_up()
    await until(lambda: site.media.ends)
    assert site.media.ends[0].cause == "transferred"
    assert site.media.told("play")[-1][1] == ("ringback",)
    answer, _ = site.second.negotiation.answer(invited.request.body)
    site.second.pick_up(answer)
    await site.until_logged("recording_begun", 2)
    site.second.hang_up()
    assert (await site.ended()).cause == "officer-hangup"


async def test_blind_to_a_busy_officer(site: Site) -> None:
    await talking(site)
    site.second.refuses = 486
    site.officer.refer(f"sip:202@{AGENT}")
    await site.officer.told(486)
    assert len(site.media.begins) == 1
    assert not site.media.ends
    site.officer.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_nobody_takes_over_from_who_has_left(site: Site) -> None:
    await talking(site)
    site.second.answers = False
    site.officer.refer(f"sip:202@{AGENT}")
    await site.second.heard(sip.InviteReceived)
    site.officer.hang_up()
    await until(lambda: site.media.ends)
    await site.advance(21)
    await site.advance(6)
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "transferred")
    await site.trunk.heard(sip.Ended)


async def test_blind_to_an_outside_number_stops_the_recording(site: Site) -> None:
    await talking(site)
    site.officer.refer(f"sip:{OUTSIDE}@{AGENT}")
    await site.officer.told(200)
    await site.officer.heard(sip.Ended)
    await until(lambda: site.media.ends)
    order = [command[0] for command in site.media.commands]
    assert order.index("stop_recording") < len(order) - 1
    assert order[-1] != "start_recording"
    assert len(site.media.begins) == 1
    assert site.control.active_calls == 1  # the two outsiders talk on
    site.trunk.hang_up()
    row = await site.ended()
    assert row.outcome == Outcome.RECORDED
    assert row.cause == "caller-hangup"


async def test_blind_to_the_emergency_number(site: Site) -> None:
    await talking(site)
    site.trunk.answers = False
    site.officer.refer(f"sip:112@{AGENT}")
    await site.trunk.heard(sip.InviteReceived)
    await site.advance(100)  # rings as long as it takes
    assert not site.trunk.of(sip.Cancelled)


async def test_a_transfer_is_taken_back(site: Site) -> None:
    await talking(site)
    site.second.answers = False
    await hold(site.officer)
    site.officer.refer(f"sip:202@{AGENT}")
    await site.second.heard(sip.InviteReceived)
    site.officer.change(Direction.SENDRECV)
    await site.officer.told(487)
    await site.second.heard(sip.Cancelled)
    await site.until_logged("resumed")
    assert len(site.media.begins) == 1
    assert not site.media.ends


async def test_the_customer_leaves_while_the_target_rings(site: Site) -> None:
    await talking(site)
    site.second.answers = False
    site.officer.refer(f"sip:202@{AGENT}")
    await site.second.heard(sip.InviteReceived)
    site.trunk.hang_up()
    await site.second.heard(sip.Cancelled)
    await site.officer.heard(sip.Ended)
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "caller-hangup")


@pytest.mark.parametrize("first", ["transferor", "agent"])
async def test_crossing_byes_close_each_segment_once(site: Site, first: str) -> None:
    await talking(site)
    site.officer.refer(f"sip:202@{AGENT}")
    if first == "agent":
        await site.until_logged("recording_begun", 2)
    else:
        await site.second.heard(sip.InviteReceived)
    site.officer.hang_up()
    await site.until_logged("recording_begun", 2)
    site.trunk.hang_up()
    site.second.hang_up()
    row = await site.ended()
    assert row.outcome == Outcome.RECORDED
    assert len(site.media.begins) == len(site.media.ends) == 2
    assert not site.media.open


async def test_an_officer_hands_on_a_call_it_made(site: Site) -> None:
    await site.start(officers=OFFICERS)
    site.officer.call(OUTSIDE)
    await site.until_logged("recording_begun")
    site.officer.refer(f"sip:202@{AGENT}")
    await site.until_logged("recording_begun", 2)
    outside = "+358409876543"
    assert segments(site) == [(1, outside, "201"), (2, outside, "202")]
    assert site.second.of(sip.InviteReceived)[0].request.from_.uri.user == OUTSIDE
    site.second.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "officer-hangup")


async def test_transfers_may_be_repeated(site: Site) -> None:
    await talking(site, inbound={"overflow": "sip:203@192.0.2.22:5060"})
    site.officer.refer(f"sip:202@{AGENT}")
    await site.until_logged("recording_begun", 2)
    await site.second.heard(sip.Acknowledged)
    site.second.refer(f"sip:203@{AGENT}")
    await site.until_logged("recording_begun", 3)
    assert [s[2] for s in segments(site)] == ["201", "202", "203"]


# -- attended --------------------------------------------------------------------


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
    assert (await site.until_logged("transfer_refused"))["status"] == 481
    assert len(site.media.begins) == 1


async def test_only_who_is_in_both_calls_may_join_them(site: Site) -> None:
    await talking(site)
    site.stranger.address = TRUNK
    named = site.trunk.replaces().replace(";", "%3B").replace("=", "%3D")
    site.second.call(OUTSIDE)
    await site.until_logged("recording_begun", 2)
    site.second.refer(f"sip:1@{AGENT}?Replaces={named}")
    assert (await site.until_logged("transfer_refused"))["status"] == 403


# -- who may ---------------------------------------------------------------------


async def test_the_customer_may_not_transfer_the_officer(site: Site) -> None:
    await talking(site)
    site.trunk.refer(f"sip:{OUTSIDE}@{AGENT}")
    assert (await site.until_logged("transfer_refused"))["status"] == 403
    await until(lambda: site.switch.sent("SIP/2.0 403", to=TRUNK))
    assert site.control.active_calls == 1


async def test_a_peer_that_may_can(site: Site) -> None:
    await talking(
        site,
        trunk={"may_transfer": True},
        inbound={"to": (f"sip:201@{OFFICER}",), "overflow": f"sip:202@{SECOND}"},
    )
    site.trunk.refer(f"sip:202@{AGENT}")
    await site.trunk.heard(sip.Ended)
    # Who has taken the customer's place is an officer: recorded with the first.
    await site.until_logged("recording_begun", 2)


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("sip:999@192.0.2.1", 404),
        (f"sip:202@{AGENT};method=BYE", 403),
    ],
)
async def test_where_nobody_can_be_transferred_to(
    site: Site, to: str, status: int
) -> None:
    await talking(site, outbound={"number": "0*"})
    site.officer.refer(to)
    assert (await site.until_logged("transfer_refused"))["status"] == status


async def test_one_transfer_at_a_time(site: Site) -> None:
    await talking(site)
    site.second.answers = False
    site.officer.refer(f"sip:202@{AGENT}")
    await site.second.heard(sip.InviteReceived)
    site.officer.refer(f"sip:{OUTSIDE}@{AGENT}")
    assert (await site.until_logged("transfer_refused"))["status"] == 491


async def test_a_phone_that_goes_on_transferring_fills_no_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "MAX_NEWCOMERS", 3)
    await talking(site)
    site.second.refuses = 486
    for count in range(1, 4):
        site.officer.refer(f"sip:202@{AGENT}")
        await until(lambda count=count: len(site.logged("transfer_ended")) == count)
    site.officer.refer(f"sip:202@{AGENT}")
    assert (await site.until_logged("transfer_refused"))["status"] == 403
    site.third.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    assert (await site.third.heard(sip.Refused)).status == 403
    [call] = site.control._calls.values()
    assert len(call.names) == 2 * 5
    assert site.control.active_calls == 1


# -- INVITE with Replaces -----------------------------------------------------------


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
