"""The streams of recording sessions, as clients and we agree on them."""

import asyncio

import pytest

from agent.call.siprec.offers import RETRY_AFTER
from agent.common.clock import monotonic_ns
from agent.model.call import Outcome
from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Response
from tests.call.siprec.client import BOTH, Document, directions, sdp
from tests.call.siprec.sites import (
    CALLER,
    OFFICER,
    SECOND,
    TALK,
    Recorder,
    names,
    rules,
)
from tests.call.site import until


async def test_a_client_may_ask_for_our_offer(site: Recorder) -> None:
    await site.record()
    site.client.acknowledges = sdp(*BOTH)
    site.client.record(metadata=TALK.xml)
    before_ns = monotonic_ns()
    offer = await site.client.answered()
    assert directions(offer) == ["recvonly", "recvonly"]
    assert not site.media.told("listen")
    answered_ns = monotonic_ns()
    await until(lambda: site.media.begins, "its answer")
    [begin] = site.media.begins
    assert names(begin.officers) == [OFFICER]
    # What came since it knew our ports has waited, and is in the recording.
    assert before_ns < begin.started_monotonic_ns < answered_ns
    assert len(site.media.told("listen")) >= 2
    site.client.acknowledges = sdp(*BOTH, version=2)
    site.client.send("INVITE")
    await site.client.answered(2)
    await until(lambda: not site.call._offers.awaits_answer, "its answer")
    assert len(site.media.begins) == 1


async def test_a_client_that_answers_our_offer_with_nothing_is_left(
    site: Recorder,
) -> None:
    await site.record()
    site.client.acknowledges = b"v=0\r\n"
    site.client.record(metadata=TALK.xml)
    await site.client.asked("BYE")
    row = await site.over()
    assert row.outcome == Outcome.ABANDONED


async def test_an_offer_that_cannot_be_had_leaves_all_as_it_was(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", b"v=0\r\n")
    answer = await site.client.answered(2)
    assert answer.status == 488
    assert len(site.media.open) == 2
    assert site.spans == []


@pytest.mark.parametrize("redirect", ["", "sip:192.0.2.99"])
async def test_without_ports_another_recorder_is_asked(
    site: Recorder, redirect: str
) -> None:
    await site.record(rules(redirect=redirect))
    site.media.no_ports = True
    site.client.record(sdp(*BOTH), TALK.xml)
    refused = await site.client.answered()
    assert refused.status == (302 if redirect else 503)
    if not redirect:
        assert refused.headers.get("Retry-After") == str(RETRY_AFTER)
    row = await site.over()
    assert row.outcome == Outcome.BLOCKED


async def test_an_offer_without_audio_is_refused(site: Recorder) -> None:
    await site.record()
    site.client.record(b"v=0\r\n", TALK.xml)
    refused = await site.client.answered()
    assert refused.status == 488
    assert refused.headers.get("Warning")
    row = await site.over()
    assert row.outcome == Outcome.REJECTED


async def test_an_answer_that_says_nothing_leaves_what_is_agreed(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    site.client.acknowledges = b"v=0\r\n"
    site.client.send("INVITE")
    await site.client.answered(2)
    await site.until_logged("answer_unusable")
    assert site.control.active_calls == 1
    site.client.send("INVITE", sdp("inactive", "sendonly", version=3))
    answer = await site.client.answered(3)
    assert directions(answer) == ["inactive", "recvonly"]


async def test_a_change_to_where_nothing_can_be_sent_is_declined(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    site.media.unreachable = {site.client.address.host}
    site.client.send("INVITE", sdp("sendonly", "inactive", version=2))
    assert (await site.client.answered(2)).status == 488
    assert site.control.active_calls == 1


async def test_a_change_that_is_cancelled_changes_nothing(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.media.gate = asyncio.Event()
    site.client.send("INVITE", sdp("inactive", "sendonly", "sendonly", version=2))
    await until(lambda: len(site.media.told("open_leg")) == 3, "a port")
    site.client.cancel()
    await site.client.answered(3)
    # Until that is known here, another has to wait.
    site.client.send("INVITE", sdp("sendonly", "inactive", "sendonly", version=3))
    refused = await site.client.answered(4)
    assert refused.status == 500
    assert refused.headers.get("Retry-After") is not None
    site.media.gate.set()
    await until(lambda: len(site.media.open) == 2, "the port is given back")
    assert site.spans == []
    assert [one.active for one in site.call._streams.views] == [True, True]
    site.client.send("INVITE", sdp("sendonly", "inactive", "sendonly", version=4))
    answer = await site.client.answered(5)
    assert directions(answer) == ["recvonly", "inactive", "recvonly"]
    assert site.spans == [("stream", None), ("inactive-begin", 1)]


async def test_a_client_that_leaves_while_ports_are_bound_gets_no_answer(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    site.media.gate = asyncio.Event()
    site.client.send("INVITE", sdp(*BOTH, "sendonly", version=2))
    await until(lambda: len(site.media.told("open_leg")) == 3, "a port")
    site.client.hang_up()
    await until(lambda: not site.control.active_calls, "the end")
    site.media.gate.set()
    await until(lambda: not site.media.open, "the ports are given back")
    assert 487 in [one.status for one in site.client.responses]
    assert site.spans == []


async def test_what_an_answer_to_a_refresh_tells_counts(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    answer = Response(200, "OK", body=sdp("inactive", "inactive", version=2))
    answer.recording_metadata = Document({CALLER: "96", SECOND: "97"}).xml
    site.call.on_sip(sip.RefreshAnswered(site.call.names[0], answer))
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    assert names(site.media.begins[1].officers) == [SECOND]
    assert site.spans[-1] == ("pause-begin", None)
