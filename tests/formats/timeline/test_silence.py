"""Talkspurts, comfort noise, a late start, nothing at all: silence with its reason."""

from agent.formats.timeline import (
    Gap,
    GapReason,
    LegFigures,
)
from tests.formats.streams import (
    odd,
    placed,
    result_of,
    sender,
    steady,
)


def test_never_sends() -> None:
    result = result_of([])
    assert placed(result) == []
    assert result.gaps == [Gap(0, 1600, GapReason.SILENCE)]
    assert result.figures == LegFigures()
    assert result.audio_codecs == set()


def test_segment_without_length() -> None:
    result = result_of(sender(range(5)), milliseconds=-20)
    assert (result.total, placed(result), result.gaps) == (0, [], [])
    assert result.figures.outside == 5


def test_late_start() -> None:
    result = result_of(sender(range(5), start=50))
    assert placed(result) == steady(range(5), first=400)
    assert result.gaps == [
        Gap(0, 400, GapReason.LATE_START),
        Gap(1200, 400, GapReason.SILENCE),
    ]


def test_timestamp_jump_that_is_silence() -> None:
    second = sender(range(5), start=4000, first_sequence=105, first_timestamp=42_000)
    result = result_of(sender(range(5)) + second, milliseconds=4100)
    assert placed(result) == steady(range(5)) + steady(range(5), first=32_000)
    assert result.gaps == [Gap(800, 31_200, GapReason.SILENCE)]
    assert result.figures.rebased == 0


def test_talkspurts_held_back_together_move_nothing() -> None:
    sent = sender(range(50))
    sent += [
        s._replace(at=6000 + n / 10)
        for n, s in enumerate(
            sender(range(10), first_sequence=150, first_timestamp=34_000)
            + sender(range(100), first_sequence=160, first_timestamp=40_000)
        )
    ]
    sent += sender(range(50), start=7000, first_sequence=260, first_timestamp=66_000)
    result = result_of(sent, milliseconds=8000)
    assert result.figures.rebased == 0
    assert [p for p, _, _ in placed(result)][50:160:10] == [
        24_000,
        *range(30_000, 46_000, 1600),
    ]


def test_comfort_noise_and_keepalives_are_silence_not_loss() -> None:
    sent = sender(range(3))
    for n, payload_type, payload in ((3, 13, b"\x40"), (4, 8, b"")):
        sent.append(odd(n, payload_type, payload))
    sent += sender(range(5), start=2000, first_sequence=105, first_timestamp=26_000)
    result = result_of(sent, milliseconds=2100)
    assert placed(result) == steady(range(3)) + steady(range(5), first=16_000)
    assert result.gaps == [Gap(480, 15_520, GapReason.SILENCE)]
    assert result.figures == LegFigures(packets=10, ssrcs=1)
