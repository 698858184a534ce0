"""Packets as they come: their codecs, lengths, borders, and what is no RTP."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.tables import BATCH
from agent.formats.timeline import (
    LegFigures,
)
from tests.formats.streams import (
    CODECS,
    MS,
    START,
    Leg,
    finish,
    heard,
    placed,
    result_of,
    sender,
    steady,
    timeline,
    without,
)


def test_steady_stream_lies_at_its_arrival() -> None:
    result = result_of(sender(range(10)))
    assert placed(result) == steady(range(10))
    assert result.gaps == []
    assert result.total == 1600
    assert result.audio_codecs == {"PCMA"}
    assert result.figures == LegFigures(packets=10, ssrcs=1)


def test_packet_time_may_change_within_the_stream() -> None:
    sent = sender(range(5))
    sent += sender(
        range(3), start=100, samples=240, first_sequence=105, first_timestamp=10_800
    )
    result = result_of(sent)
    long = [(800, 240, 0), (1040, 240, 1), (1280, 240, 2)]
    assert placed(result) == steady(range(5)) + long


def test_before_the_start_and_after_the_end_is_cut_off() -> None:
    result = result_of(sender(range(-3, 15), start=10))
    frames = placed(result)
    assert frames[0] == (0, 80, 255)
    assert frames[1] == (80, 160, 0)
    assert frames[-1] == (1520, 80, 9)
    assert result.figures.outside == 7
    assert heard(next(iter(result.frames))) == bytes((255,)) * 80


def test_overlong_packet_gives_way_to_the_next() -> None:
    sent = sender(range(4))
    long = replace(sent[1].packet, payload=b"x" * 1400)
    sent[1] = sent[1]._replace(packet=long)
    assert placed(result_of(sent)) == [
        (0, 160, 0),
        (160, 160, ord("x")),
        (320, 160, 2),
        (480, 160, 3),
    ]


def test_codecs_may_change() -> None:
    sent = sender(range(3)) + sender(range(3, 6), payload_type=96)
    leg = Leg(CODECS, START)
    for at, packet in sent[:3]:
        leg.take(START + round(at * MS), packet.to_bytes())
    leg.set_codecs({96: "PCMU"})
    for at, packet in sent[3:]:
        leg.take(START + round(at * MS), packet.to_bytes())
    result = finish(leg, milliseconds=120)
    assert [f.codec for f in result.frames] == ["PCMA"] * 3 + ["PCMU"] * 3
    assert result.audio_codecs == {"PCMA", "PCMU"}


def test_unknown_payload_type_is_no_audio() -> None:
    result = result_of(sender(range(5)) + sender([5], payload_type=55))
    assert placed(result) == steady(range(5))
    assert result.figures.invalid == 1


def test_what_is_no_rtp_is_counted() -> None:
    leg = timeline(sender(range(5)))
    for data in (b"", b"\x80", b"\x40" + bytes(40), bytes(1501), b"\x8f" + bytes(20)):
        leg.take(START + 50 * MS, data)
    result = finish(leg, milliseconds=100)
    assert placed(result) == steady(range(5))
    assert result.figures.invalid == 5


def test_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.formats.packets.MAX_PACKETS", BATCH)
    leg = timeline(sender(range(BATCH + 5)))
    result = finish(leg, milliseconds=20 * BATCH)
    assert result.figures.packets == BATCH
    assert result.figures.invalid == 5


def test_frames_are_in_order_through_all_batches() -> None:
    sent = without(sender(range(2 * BATCH)), 3)
    late = sent.pop(BATCH)
    result = result_of(
        [*sent, late._replace(at=late.at + 50)], milliseconds=2 * BATCH * 20
    )
    assert [frame.position for frame in result.frames] == [
        n * 160 for n in range(2 * BATCH) if n != 3
    ]


@given(st.integers(0, 9), st.integers(0, 40_000), st.integers(0, 40_000))
@settings(max_examples=20, deadline=None)
def test_touched_are_those_that_overlap(batch: int, start: int, length: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        for module in ("tables", "timeline"):
            patched.setattr(f"agent.formats.{module}.BATCH", batch * 7 + 1)
        result = result_of(without(sender(range(200)), 3, 4, 5, 120), milliseconds=4000)
    end = start + length
    assert list(result.touching(start, end)) == [
        frame
        for frame in result.frames
        if frame.position < end and frame.position + frame.length > start
    ]


def test_payload_type_may_change_with_every_packet() -> None:
    sent = [sender([n], payload_type=(8, 0)[n % 2])[0] for n in range(10)]
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert [f.codec for f in result.frames] == ["PCMA", "PCMU"] * 5
    assert (result.gaps, result.figures.rebased) == ([], 0)


def test_arrival_before_the_segment_is_as_good_as_any_for_the_clock() -> None:
    """The soonest packet came two seconds before what is recorded of the stream."""
    sent = [s._replace(at=s.at + 15) for s in sender(range(-150, 10))]
    sent[50] = sent[50]._replace(at=sent[50].at - 15)
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.outside == 150
