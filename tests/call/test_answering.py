"""The notice before the answer, through the real call control."""

from typing import Any

import pytest

from agent.model.call import Outcome
from agent.signalling.sip import core as sip
from tests.call.site import CALLER, TRUNK, Party, Site, until

EARLY = {"notice_mode": "early"}


async def early(site: Site, **options: Any) -> None:
    await site.start(**({"inbound": EARLY} | options))


def statuses(site: Site) -> list[int]:
    return [event.response.status for event in site.trunk.of(sip.Progressed)]


async def test_the_notice_is_heard_before_the_answer(site: Site) -> None:
    await early(site)
    site.officer.answers = False
    site.trunk.call()
    invited = await site.officer.heard(sip.InviteReceived)
    progress = site.trunk.of(sip.Progressed)[0].response
    assert progress.status == 183
    assert progress.body
    assert not site.trunk.of(sip.Accepted)
    sounds = [told[1] for told in site.media.told("play")]
    assert sounds == [("fi-0",), ("ringback",)]
    answer, _ = site.officer.negotiation.answer(invited.request.body)
    site.officer.pick_up(answer)
    await site.until_logged("recording_begun")
    accepted = await site.trunk.heard(sip.Accepted)
    assert accepted.response.body == progress.body
    # The caller hears our ringback: no 180 has its phone ring over it.
    assert set(statuses(site)) == {183}
    order = [command[0] for command in site.media.commands]
    assert order.index("play") < order.index("start_recording")
    assert site.media.begins[0].notices[0].sent_ms == 400
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_the_notice_waits_for_the_prack(site: Site) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=("100rel",))
    await early(site)
    site.trunk.call()
    await site.until_logged("recording_begun")
    [progress] = site.trunk.of(sip.Progressed)
    assert "RSeq" in progress.response.headers
    sent = [data.split(b" ")[0] for _, _, data in site.switch.log]
    assert b"PRACK" in sent
    accepted = await site.trunk.heard(sip.Accepted)
    assert accepted.response.body in {b"", progress.response.body}
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_no_prack_no_notice_no_call(site: Site) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=("100rel",))
    await early(site)
    site.trunk.call()
    site.switch._ports.pop(TRUNK)
    await until(lambda: site.switch.sent("SIP/2.0 183", to=TRUNK))
    for _ in range(12):
        await site.advance(4)
    assert site.switch.sent("SIP/2.0 504", to=TRUNK)
    assert (await site.ended()).outcome == Outcome.ABANDONED
    assert not site.media.told("play")


@pytest.mark.parametrize(
    ("trunk", "late"),
    [
        ({"early_media": "never"}, False),
        ({"early_media": "reliable"}, False),
        ({}, True),
    ],
)
async def test_where_early_media_is_not_had_the_caller_is_answered(
    site: Site, trunk: dict[str, Any], *, late: bool
) -> None:
    await early(site, trunk=trunk)
    site.trunk.call(late=late)
    await site.until_logged("recording_begun")
    assert site.logged("early_media_unavailable")
    assert not site.trunk.of(sip.Progressed)
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_a_notice_that_fails_refuses_who_is_not_answered(site: Site) -> None:
    await early(site)
    site.media.plays = False
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    leg = site.media.told("play")[0][0]
    site.media.emit(site.media.play_ended(leg, 1, completed=False))
    assert (await site.trunk.heard(sip.Refused)).status == 503
    row = await site.ended()
    assert row.outcome == Outcome.BLOCKED
    assert not site.media.open


async def test_by_policy_the_call_goes_on_unrecorded(site: Site) -> None:
    await early(site, inbound=EARLY | {"on_notice_failure": "unrecorded"})
    site.media.plays = False
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    leg = site.media.told("play")[0][0]
    site.media.emit(site.media.play_ended(leg, 1, completed=False))
    await site.trunk.heard(sip.Accepted)
    await site.trunk.heard(sip.Accepted)
    await until(lambda: site.media.verbs["bridge"])
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.UNRECORDED


async def test_a_missing_notice_refuses_who_is_not_answered(site: Site) -> None:
    await early(site, inbound=EARLY | {"notice": ("fi.wav", "sv.wav")})
    site.trunk.call()
    assert (await site.trunk.heard(sip.Refused)).status == 503
    assert (await site.ended()).outcome == Outcome.BLOCKED


async def test_the_caller_leaves_in_the_notice(site: Site) -> None:
    await early(site)
    site.media.plays = False
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.ABANDONED
    assert not site.media.begins
    assert not site.media.open


async def test_the_best_refusal_reaches_who_was_never_answered(site: Site) -> None:
    await early(site)
    site.officer.refuses, site.second.refuses = 480, 486
    site.trunk.call()
    assert (await site.trunk.heard(sip.Refused)).status == 486
    assert (await site.ended()).outcome == Outcome.UNANSWERED


async def test_without_ringback_of_ours_the_callers_phone_rings(site: Site) -> None:
    await early(site, inbound=EARLY | {"ringback": False})
    site.officer.answers = False
    site.trunk.call()
    await until(lambda: statuses(site) == [183, 180])


async def test_an_offer_without_common_audio_is_refused(site: Site) -> None:
    await early(site)
    body = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n"
        b"t=0 0\r\nm=audio 30000 RTP/AVP 18\r\n"
    )
    site.trunk.call(body=body)
    assert (await site.trunk.heard(sip.Refused)).status == 488
    assert (await site.ended()).outcome == Outcome.REJECTED


async def test_a_target_that_rings_in_a_hurry_ends_no_call(site: Site) -> None:
    """More 180s than the caller, who wants each acknowledged, has answered yet."""
    await site.start()
    site.trunk.answers = False
    site.officer.call("0409876543", headers=[("Require", "100rel")])
    await site.trunk.heard(sip.InviteReceived)
    for _ in range(30):
        site.trunk.ring()
    await site.advance(0)
    assert not site.logged("call_failed")
    assert site.control.active_calls == 1
