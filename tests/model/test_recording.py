import msgspec
import pytest

from agent.formats.journal import MAX_NOTE, pack_note
from agent.model.recording import (
    MAX_METADATA,
    METADATA_PART,
    Note,
    Officer,
    SegmentBegin,
    SegmentEnd,
    SegmentMark,
    metadata_notes,
)


def begin() -> SegmentBegin:
    return SegmentBegin(
        recording_id="r",
        group="g",
        segment=1,
        direction="inbound",
        caller="+358401234567",
        service="0295000000",
        officers=(Officer(number="201", name="Officer One"),),
        notices=(),
        started_at=1,
        started_monotonic_ns=2,
        codecs={"0": {"8": "PCMA"}, "1": {"8": "PCMA"}},
        agent="a",
        host="h",
    )


def test_nothing_personal_is_printed() -> None:
    text = repr(begin()) + repr(begin().officers)
    assert "401234567" not in text
    assert "Officer One" not in text
    assert "r" in text


def test_notes_travel_as_tagged_json() -> None:
    end = SegmentEnd(
        ended_at=1, ended_monotonic_ns=2, cause="caller-hangup", outcome="recorded"
    )
    for note in (begin(), end):
        assert msgspec.json.decode(msgspec.json.encode(note), type=Note) == note


def test_a_call_is_begun_as_ever() -> None:
    """What a recording session needs is not said of a call: byte for byte."""
    assert msgspec.json.encode(begin()) == (
        b'{"type":"begin","recording_id":"r","group":"g","segment":1,'
        b'"direction":"inbound","caller":"+358401234567","service":"0295000000",'
        b'"officers":[{"number":"201","name":"Officer One"}],"notices":[],'
        b'"started_at":1,"started_monotonic_ns":2,'
        b'"codecs":{"0":{"8":"PCMA"},"1":{"8":"PCMA"}},"agent":"a","host":"h"}'
    )
    assert msgspec.json.encode(SegmentMark(at_monotonic_ns=1, kind="hold")) == (
        b'{"type":"mark","at_monotonic_ns":1,"kind":"hold","leg":null,"codecs":null,'
        b'"reason":"","by":""}'
    )


@pytest.mark.parametrize("size", [0, 1, METADATA_PART, METADATA_PART + 1, MAX_METADATA])
def test_a_document_stands_in_as_many_notes_as_it_takes(size: int) -> None:
    notes = list(metadata_notes(b"\xff" * size, ("flaw",), 5))
    assert b"".join(one.xml for one in notes) == b"\xff" * size
    assert [one.part for one in notes] == list(range(notes[0].parts))
    assert max(len(pack_note(msgspec.json.encode(one))) for one in notes) < MAX_NOTE
