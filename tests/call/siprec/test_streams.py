"""The streams of recording sessions, and their ports."""

import asyncio

from agent.model.call import Outcome
from agent.model.recording import Channel
from tests.call.siprec.client import BOTH, Document, directions, sdp
from tests.call.siprec.sites import CALLER, OFFICER, TALK, Recorder, rules
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
    # The one that is gone is still a leg of the segment.
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


async def test_the_last_ports_are_kept_for_calls(site: Recorder) -> None:
    await site.record()
    # Of 21 pairs, 16 of which calls have, five are kept.
    site.media.ports_free = 5
    site.media.open |= {f"leg-{n}" for n in range(16)}
    labels = ("96", "97", "98", "99")
    await site.talk_beside(sdp(*BOTH, *BOTH, labels=labels))
    answer = site.client.responses[0]
    assert directions(answer) == ["recvonly"] * 2 + ["refused"] * 2
    assert site.logged("media_refused")
    # With one more than these, one more stream has it.
    site.media.ports_free = 7
    site.client.send("INVITE", sdp(*BOTH, *BOTH, labels=labels, version=2))
    answer = await site.client.answered(2)
    assert directions(answer) == ["recvonly"] * 3 + ["refused"]


async def test_a_session_that_ends_while_ports_are_opened_keeps_none(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(sdp("sendonly"))
    site.media.gate = asyncio.Event()
    site.client.send("INVITE", sdp(*BOTH, version=2))
    await until(lambda: len(site.media.told("open_leg")) == 2, "another leg")
    assert len(site.media.mute) == 2
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


async def test_streams_without_labels_are_told_apart(site: Recorder) -> None:
    await site.record()
    offer = b"\r\n".join(
        line for line in sdp(*BOTH).split(b"\r\n") if not line.startswith(b"a=label")
    )
    await site.talk_beside(offer, document=None)
    [begin] = site.media.begins
    assert begin.channels == (Channel.CUSTOMER, Channel.OFFICER)
    assert begin.session is not None
    assert "no-label" in begin.session.tolerated


async def test_an_address_that_is_none_leaves_the_session_without_media(
    site: Recorder,
) -> None:
    await site.record()
    site.media.unreachable = {site.client.address.host}
    site.client.record(sdp(*BOTH), TALK.xml)
    assert (await site.client.answered()).status == 488
    await site.over()
    assert not site.media.open


async def test_a_session_of_many_calls_keeps_nothing_of_those_that_are_over(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    over = Document({CALLER: "96", OFFICER: "97"}, stopped=True)
    for number in range(1, 4):
        site.client.send("INVITE", sdp("", "", version=2 * number), over.xml)
        await site.client.answered(2 * number)
        await until(lambda: not site.recorder.unfinished, "it is sealed")
        assert len(site.call.names) == 1
        assert not site.media.open
        site.client.send("INVITE", sdp(*BOTH, version=2 * number + 1), TALK.xml)
        await site.client.answered(2 * number + 1)
        await until(lambda: not site.recorder._tasks, "the envelope is durable")
        await until(
            lambda: not site.call.capture.series.segments[1:], "one segment is kept"
        )
    assert [leg.name for leg in site.call.status.legs] == ["s7", "s8"]
    assert len(site.control._calls._by_name) == 3
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.RECORDED
    assert len(row.recordings) == 4


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
