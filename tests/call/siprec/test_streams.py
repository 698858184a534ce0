"""The streams of recording sessions, and their ports."""

import asyncio

from tests.call.siprec.client import (
    BOTH,
    directions,
    sdp,
)
from tests.call.siprec.sites import (
    TALK,
    Recorder,
    rules,
)
from tests.call.site import until


async def test_a_stream_that_comes_later_joins_and_one_that_goes_is_silent(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(sdp("sendonly"))
    assert len(site.media.open) == 1
    site.client.send("INVITE", sdp(*BOTH, version=2))
    answer = await site.client.answered(2)
    assert directions(answer) == ["recvonly", "recvonly"]
    assert len(site.media.told("add_leg")) == 1
    site.client.send("INVITE", sdp("", "sendonly", version=3))
    answer = await site.client.answered(3)
    assert directions(answer) == ["refused", "recvonly"]
    assert len(site.media.open) == 1
    assert site.spans[-1] == ("inactive-begin", 0)
    # In its place comes another one.
    site.client.send("INVITE", sdp(*BOTH, version=4))
    await site.client.answered(4)
    assert len(site.media.told("add_leg")) == 2
    assert len(site.call.names) == 4
    assert [leg.name for leg in site.call.status.legs] == ["s3", "s2"]


async def test_without_ports_for_one_more_the_others_go_on(site: Recorder) -> None:
    await site.record()
    await site.talk_beside(sdp("sendonly"))
    site.media.no_ports = True
    site.client.send("INVITE", sdp(*BOTH, version=2))
    answer = await site.client.answered(2)
    assert directions(answer) == ["recvonly", "refused"]
    assert site.logged("media_refused")


async def test_a_session_that_ends_while_ports_are_opened_keeps_none(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(sdp("sendonly"))
    site.media.gate = asyncio.Event()
    site.client.send("INVITE", sdp(*BOTH, version=2))
    await until(lambda: len(site.media.told("open_leg")) == 2, "another leg")
    site.client.hang_up()
    await until(lambda: not site.control.active_calls, "the end")
    site.media.gate.set()
    await site.over()
    assert not site.media.open


async def test_no_more_streams_are_taken_than_are_allowed(site: Recorder) -> None:
    await site.record(rules(max_streams=1))
    await site.talk_beside()
    assert directions(site.client.responses[0]) == ["recvonly", "refused"]
    assert len(site.media.open) == 1


async def test_an_address_that_is_none_leaves_the_session_without_media(
    site: Recorder,
) -> None:
    await site.record()
    site.media.unreachable = {site.client.address.host}
    site.client.record(sdp(*BOTH), TALK.xml)
    assert (await site.client.answered()).status == 488
    await site.over()
    assert not site.media.open


async def test_a_payload_type_that_means_something_new_is_told(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    again = sdp(*BOTH, version=2).replace(b"RTP/AVP 8", b"RTP/AVP 0")
    site.client.send("INVITE", again)
    await site.client.answered(2)
    [mark] = site.media.marks
    assert mark.kind == "codecs"
    assert mark.codecs == {"0": {"8": "PCMA", "0": "PCMU"}} | {
        "1": {"8": "PCMA", "0": "PCMU"}
    }
