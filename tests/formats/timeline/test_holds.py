"""Holds and gaps of the agent's own, and what phones do with their clocks meanwhile."""

import pytest

from agent.formats.timeline import Gap, GapReason
from tests.formats.streams import (
    MS,
    START,
    Sent,
    finish,
    placed,
    sender,
    spans,
    steady,
    timeline,
    without,
)

HELD = (1000, 61_000)
"Milliseconds; a minute of packets is beyond what a sequence number may jump."


def again(kind: str) -> list[Sent]:
    """The 50 packets after the hold."""
    first = 61_000 // 20
    as_if_it_went_on = {
        "start": 61_000,
        "first_sequence": 100 + first,
        "first_timestamp": 10_000 + first * 160,
    }
    stood_still = {"first_sequence": 150, "first_timestamp": 18_000}
    began_anew = {"first_sequence": 40_000, "first_timestamp": 3_999_999_999}
    changes = {
        "sendonly": {},
        "inactive": stood_still,
        "inactive, silence counted": {"first_sequence": 150},
        "c=0.0.0.0": began_anew,
        "c=0.0.0.0, another source": began_anew | {"ssrc": 0xB},
    }[kind]
    return sender(range(50), **(as_if_it_went_on | changes))


@pytest.mark.parametrize(
    ("kind", "clocks"),
    [
        ("sendonly", 1),
        ("inactive", 2),
        ("inactive, silence counted", 1),
        ("c=0.0.0.0", 2),
        ("c=0.0.0.0, another source", 1),
    ],
)
def test_after_a_hold_audio_goes_on_where_it_is_heard(kind: str, clocks: int) -> None:
    """What was sent to us meanwhile is not listened to: both taps are closed."""
    leg = timeline(sender(range(50)) + again(kind))
    for at, mark in zip(HELD, ("hold", "resume"), strict=True):
        leg.mark(START + at * MS, mark)
    result = finish(leg, milliseconds=62_000)
    assert placed(result) == steady(range(50)) + steady(range(50), first=488_000)
    assert result.gaps == [Gap(8000, 480_000, GapReason.HOLD)]
    assert result.figures.lost == result.figures.invalid == 0
    assert result.figures.rebased == clocks - 1


def test_a_hold_of_half_an_hour_goes_past_half_of_all_sequence_numbers() -> None:
    first = 1_860_000 // 20
    later = sender(
        range(50),
        start=1_860_000,
        first_sequence=100 + first,
        first_timestamp=10_000 + first * 160,
    )
    leg = timeline(sender(range(50)) + later)
    leg.mark(START + 1000 * MS, "hold")
    leg.mark(START + 1_860_000 * MS, "resume")
    result = finish(leg, milliseconds=1_861_000)
    assert placed(result)[50:] == steady(range(50), first=14_880_000)
    assert result.gaps == [Gap(8000, 14_872_000, GapReason.HOLD)]
    assert (result.figures.lost, result.figures.rebased) == (0, 0)


def test_music_that_is_heard_in_a_hold_is_in_its_place() -> None:
    """Marks explain silence only; they cut nothing."""
    leg = timeline(sender(range(50)))
    leg.mark(START + 200 * MS, "hold")
    leg.mark(START + 800 * MS, "resume")
    result = finish(leg, milliseconds=1000)
    assert placed(result) == steady(range(50))
    assert result.gaps == []


def test_marks_in_disorder_are_put_in_order() -> None:
    marks = ((90, "gap-end"), (40, "resume"), (60, "gap-begin"), (10, "hold"))
    assert spans(*marks, milliseconds=100) == [
        Gap(0, 80, GapReason.SILENCE),
        Gap(80, 240, GapReason.HOLD),
        Gap(320, 160, GapReason.SILENCE),
        Gap(480, 240, GapReason.GAP),
        Gap(720, 80, GapReason.SILENCE),
    ]


def test_marks_beyond_the_segment_are_cut_to_it() -> None:
    marks = ((-50, "hold"), (500, "resume"))
    assert spans(*marks, milliseconds=100) == [Gap(0, 800, GapReason.HOLD)]


def test_hold_is_a_marked_silence_and_no_loss() -> None:
    leg = timeline(without(sender(range(50)), *range(10, 40)))
    leg.mark(START + 205 * MS, "hold")
    leg.mark(START + 790 * MS, "resume")
    leg.mark(START + 790 * MS, "something else")
    result = finish(leg, milliseconds=1000)
    assert placed(result) == steady([*range(10), *range(40, 50)])
    assert result.gaps == [
        Gap(1600, 40, GapReason.SILENCE),
        Gap(1640, 4680, GapReason.HOLD),
        Gap(6320, 80, GapReason.SILENCE),
    ]
    assert result.figures.lost == 0


def test_loss_beside_a_short_hold_is_loss() -> None:
    leg = timeline(without(sender(range(50)), *range(10, 40)))
    leg.mark(START + 300 * MS, "hold")
    leg.mark(START + 400 * MS, "resume")
    result = finish(leg, milliseconds=1000)
    assert [g.reason for g in result.gaps] == ["lost", "hold", "lost"]
    assert result.figures.lost == 30


def test_spans_may_touch_cross_and_stay_open() -> None:
    assert spans(
        (-20, "resume"),
        (10, "hold"),
        (20, "hold"),
        (30, "gap-begin"),
        (40, "resume"),
        (50, "gap-end"),
        (60, "hold"),
        (60, "resume"),
        (70, "gap-begin"),
        milliseconds=100,
    ) == [
        Gap(0, 80, GapReason.SILENCE),
        Gap(80, 160, GapReason.HOLD),
        Gap(240, 160, GapReason.GAP),
        Gap(400, 160, GapReason.SILENCE),
        Gap(560, 240, GapReason.GAP),
    ]
