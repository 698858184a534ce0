"""Transfers through the real call control, with parties that ask for them."""

import pytest

from agent.call import transfers
from agent.model.call import Outcome
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import (
    AGENT,
    OFFICER,
    SECOND,
    SERVICE,
    TRUNK,
    Site,
    until,
)
from tests.call.transfers import CUSTOMER, OFFICERS, OUTSIDE, hold, segments, talking


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


# -- who may ---------------------------------------------------------------------


async def test_the_customer_may_not_transfer_the_officer(site: Site) -> None:
    await talking(site)
    site.trunk.refer(f"sip:{OUTSIDE}@{AGENT}")
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 403
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
    assert (await site.until_logged("transfer_refused"))["sip_status"] == status


async def test_one_transfer_at_a_time(site: Site) -> None:
    await talking(site)
    site.second.answers = False
    site.officer.refer(f"sip:202@{AGENT}")
    await site.second.heard(sip.InviteReceived)
    site.officer.refer(f"sip:{OUTSIDE}@{AGENT}")
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 491


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
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 403
    site.third.call(SERVICE, headers=[("Replaces", site.officer.replaces())])
    assert (await site.third.heard(sip.Refused)).status == 403
    [call] = site.control._calls.values()
    assert len(call.names) == 2 * 5
    assert site.control.active_calls == 1
