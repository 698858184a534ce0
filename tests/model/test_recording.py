import msgspec

from agent.model.recording import Note, Officer, SegmentBegin, SegmentEnd


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
