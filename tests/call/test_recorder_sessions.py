"""What the recorder does of a recording session: any legs, metadata, and its bounds."""

from collections.abc import Iterable

import msgspec
import pytest
from msgspec.structs import replace

from agent.call.open_segment import OpenSegment
from agent.common.ids import new_id
from agent.formats.journal import MAX_NOTE
from agent.model.recording import (
    MAX_DOCUMENTS,
    MAX_LEGS,
    MAX_METADATA,
    METADATA_PART,
    Channel,
    Officer,
    SegmentBegin,
    SegmentMark,
)
from tests.call.site import Site
from tests.recording.segments import SESSION, begin

LEGS = ("s0", "s1", "s2")


def beginning(**changes: object) -> SegmentBegin:
    channels = (Channel.CUSTOMER, Channel.OFFICER, Channel.BOTH)
    made = replace(begin(new_id()), channels=channels, session=SESSION)
    return replace(made, **changes)


@pytest.fixture
async def talking(site: Site) -> Site:
    """A site with a call in the ledger, whose id the segments take."""
    await site.start()
    await site.talk()
    return site


def opened(site: Site, **changes: object) -> OpenSegment:
    [call] = {segment.call_id for segment in site.recorder._segments.values()}
    return site.recorder.open(call, beginning(**changes), legs=LEGS, officers=())


async def test_legs_join_and_are_tapped_one_by_one(talking: Site) -> None:
    segment = opened(talking)
    name = segment.recording_id
    assert talking.media.legs_of[name] == list(LEGS)
    mark = SegmentMark(at_monotonic_ns=5, kind="stream", channel=Channel.BOTH)
    assert talking.recorder.add_leg(segment, "late", mark) == 3
    talking.recorder.tap(segment, ("s1", "late"), 7, on=False)
    assert [one for one in talking.media.told("tap") if one[0] == name] == [
        (name, "s1", False),
        (name, "late", False),
    ]
    assert talking.media.begins[-1].channels[2] is Channel.BOTH
    assert talking.media.begins[-1].session == SESSION


async def test_a_leg_too_many_makes_the_recording_partial(talking: Site) -> None:
    segment = opened(talking)
    mark = SegmentMark(at_monotonic_ns=5, kind="stream", channel=Channel.BOTH)
    for number in range(len(LEGS), MAX_LEGS):
        assert talking.recorder.add_leg(segment, f"late{number}", mark) == number
    assert not segment.gap
    assert talking.recorder.add_leg(segment, "one more", mark) is None
    assert segment.gap
    await talking.until_logged("leg_not_recorded")


async def test_a_document_goes_into_the_journal_in_parts(talking: Site) -> None:
    segment = opened(talking)
    talking.recorder.note_metadata(segment, b"<" * (METADATA_PART + 1), ["flaw"])
    first, second = talking.media.documents
    assert (len(first.xml), second.xml) == (METADATA_PART, b"<")
    assert first.at_monotonic_ns == second.at_monotonic_ns
    assert first.flaws == ("flaw",)


@pytest.mark.parametrize(
    ("documents", "kept"),
    [
        ([b"x" * (MAX_METADATA // 4)] * 7, 4),
        ([b"x"] * (MAX_DOCUMENTS + 9), MAX_DOCUMENTS),
    ],
    ids=["octets", "documents"],
)
async def test_more_is_left_out_and_told_once(
    talking: Site, documents: Iterable[bytes], kept: int
) -> None:
    segment = opened(talking)
    for document in documents:
        talking.recorder.note_metadata(segment, document, ())
    moments = list(dict.fromkeys(d.at_monotonic_ns for d in talking.media.documents))
    assert len(moments) == kept + 1
    last = talking.media.documents[-1]
    assert (last.xml, last.flaws) == (b"", ("left-out",))
    await talking.until_logged("metadata_left_out")


async def test_no_client_makes_a_beginning_that_no_journal_takes(talking: Site) -> None:
    crowd = tuple(Officer(number=str(n), name="x" * 100) for n in range(1000))
    opened(talking, session=replace(SESSION, participants=crowd))
    told = talking.media.begins[-1]
    assert told.session is not None
    assert told.session.participants == ()
    assert told.session.tolerated == ("left-out",)
    assert told.session.notice == SESSION.notice
    assert len(msgspec.json.encode(told)) <= MAX_NOTE
