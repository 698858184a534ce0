"""Changes of a recording session that clients are not expected to make, and make."""

import asyncio

from agent.model.call import EndCause, Outcome
from agent.model.recording import Channel
from tests.call.siprec.client import BOTH, Document, directions, sdp
from tests.call.siprec.sites import CALLER, OFFICER, SECOND, TALK, Recorder, names
from tests.call.site import until

LEFT, RIGHT = Channel.CUSTOMER, Channel.OFFICER


async def test_labels_change_places(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", sdp(*BOTH, labels=("97", "96"), version=2))
    await site.client.answered(2)
    await until(lambda: len(site.media.begins) == 2, "another segment")
    assert [begin.channels for begin in site.media.begins] == [
        (LEFT, RIGHT),
        (RIGHT, LEFT),
    ]
    assert len(site.media.open) == 2


async def test_labels_change_places_in_the_answer_to_our_offer(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    swapped = sdp("inactive", "sendonly", labels=("97", "96"), version=2)
    site.client.acknowledges = swapped
    after = Document({CALLER: "96", SECOND: "97"})
    site.client.send("INVITE", metadata=after.xml)
    offer = await site.client.answered(2)
    assert directions(offer) == ["recvonly", "recvonly"]
    await until(lambda: len(site.media.begins) == 2, "another segment")
    last = site.media.begins[-1]
    assert (last.channels, names(last.officers)) == ((RIGHT, LEFT), [SECOND])
    assert site.spans == [("inactive-begin", 0)]


async def test_fewer_m_lines_than_before(site: Recorder) -> None:
    """RFC 3264 section 8 forbids it: what is not there any more has ended."""
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", sdp("sendonly", version=2))
    answer = await site.client.answered(2)
    assert directions(answer) == ["recvonly"]
    assert len(site.media.open) == 1
    assert site.spans == [("inactive-begin", 1)]
    site.client.send("INVITE", sdp(*BOTH, version=3))
    answer = await site.client.answered(3)
    assert directions(answer) == ["recvonly", "recvonly"]
    # It comes back as another stream, on the same side.
    [added] = [mark for mark in site.media.marks if mark.kind == "stream"]
    assert added.channel == RIGHT
    assert len(site.media.begins) == 1


async def test_all_streams_end_and_others_come(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", sdp("", "", version=2))
    assert directions(await site.client.answered(2)) == ["refused", "refused"]
    assert not site.media.open
    assert site.spans == [("pause-begin", None)]
    assert site.control.active_calls == 1
    site.client.send("INVITE", sdp(*BOTH, version=3))
    assert directions(await site.client.answered(3)) == ["recvonly", "recvonly"]
    assert len(site.media.open) == 2
    assert ("pause-end", None) in site.spans


async def test_metadata_while_a_change_waits_for_its_ports(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.media.gate = asyncio.Event()
    site.client.send("INVITE", sdp(*BOTH, "sendonly", version=2))
    await until(lambda: len(site.media.told("open_leg")) == 3, "a port")
    site.client.send("UPDATE", metadata=Document({CALLER: "96", SECOND: "97"}).xml)
    assert (await site.client.answered(2)).status == 200
    await until(lambda: len(site.media.begins) == 2, "another segment")
    # An offer has to wait until the first one is answered (RFC 3311 section 5.2).
    third = Document({CALLER: "96", OFFICER: "97"})
    site.client.send("UPDATE", sdp("inactive", "sendonly", version=3), third.xml)
    refused = await site.client.answered(3)
    assert (refused.status, refused.cseq.method) == (500, "UPDATE")
    assert refused.headers.get("Retry-After") is not None
    site.media.gate.set()
    answer = await site.client.answered(4)
    assert directions(answer) == ["recvonly"] * 3
    await until(lambda: site.spans == [("stream", None)], "the third stream")
    assert len(site.media.begins) == 2


async def test_a_bye_instead_of_the_ack(site: Recorder) -> None:
    await site.record()
    site.client.acknowledges = None
    await site.talk_beside()
    site.client.hang_up(TALK.xml)
    row = await site.over()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, EndCause.SESSION_ENDED)
    assert [one.status for one in site.client.responses] == [200, 200]
    assert not site.client.requests
    assert not site.media.open


async def test_another_session_of_the_same_call_beside_it(site: Recorder) -> None:
    """A client that forks to two recorders may find the same one behind both."""
    await site.record()
    await site.talk_beside()
    site.client.record(sdp(*BOTH), TALK.xml)
    await site.client.answered(2)
    await until(lambda: len(site.media.begins) == 2, "its segment")
    first, second = site.media.begins
    assert first.group == second.group
    assert first.recording_id != second.recording_id
    assert len(site.media.open) == 4


async def test_descriptions_with_more_than_we_use(site: Recorder) -> None:
    await site.record()
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.30",
        "s=-",
        "c=IN IP4 192.0.2.30",
        "t=0 0",
        "a=group:DUP a b",
    ]
    for number, (mid, label) in enumerate((("a", "96"), ("b", "97"))):
        lines += [
            f"m=audio {20000 + 2 * number} RTP/AVP 8 13 101",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            f"a=ptime:{(30, 10)[number]}",
            f"a=mid:{mid}",
            f"a=label:{label}",
            "a=ssrc:11223344 cname:src",
            "a=ssrc-group:FID 11223344 55667788",
            "a=sendonly",
        ]
    lines.insert(-9, "m=video 30000 RTP/AVP 96")
    await site.talk_beside("\r\n".join([*lines, ""]).encode())
    answer = await site.client.answered()
    text = answer.body.decode()
    assert "DUP" not in text
    assert "ssrc" not in text
    [begin] = site.media.begins
    assert begin.channels == (LEFT, RIGHT)
    assert begin.codecs["0"] == {"8": "PCMA", "13": "CN", "101": "telephone-event"}
    assert [line.split()[1] == "0" for line in text.split("\r\nm=")[1:]] == [
        False,
        True,
        False,
    ]
