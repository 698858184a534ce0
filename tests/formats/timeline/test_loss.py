"""Loss, jitter, duplicates and order: nothing of it moves a sample."""

from dataclasses import replace
from itertools import pairwise
from random import Random

from hypothesis import given, strategies as st

from agent.formats.timeline import (
    Gap,
    GapReason,
)
from tests.formats.streams import (
    CODECS,
    MS,
    START,
    Leg,
    finish,
    odd,
    placed,
    result_of,
    sender,
    steady,
    without,
)


def test_two_hundred_milliseconds_of_jitter_move_nothing() -> None:
    rng = Random(1)
    delays = [rng.uniform(0, 200) for _ in range(500)]
    delays[3] = 0.0
    sent = [
        s._replace(at=s.at + delay)
        for s, delay in zip(sender(range(500)), delays, strict=True)
    ]
    result = result_of(sent, milliseconds=10_000)
    assert placed(result) == steady(range(500))
    assert result.figures.lost == result.figures.rebased == 0
    assert result.figures.reordered > 100
    assert 30 < result.figures.jitter_ms < result.figures.jitter_max_ms < 200


def test_loss_is_a_gap() -> None:
    result = result_of(without(sender(range(10)), 3, 4, 7))
    assert placed(result) == steady([0, 1, 2, 5, 6, 8, 9])
    assert result.gaps == [
        Gap(480, 320, GapReason.LOST),
        Gap(1120, 160, GapReason.LOST),
    ]
    assert result.figures.lost == 3


def test_fifteen_percent_loss() -> None:
    rng = Random(2)
    kept = [n for n in range(3000) if n in {0, 2999} or rng.random() >= 0.15]
    sent = sender(range(3000))
    result = result_of([sent[n] for n in kept], milliseconds=60_000)
    assert placed(result) == steady(kept)
    assert result.figures.lost == 3000 - len(kept)
    assert sum(g.samples for g in result.gaps) == 160 * (3000 - len(kept))
    assert {g.reason for g in result.gaps} == {GapReason.LOST}


def test_reordering_and_duplicates() -> None:
    sent = sender(range(10))
    sent[4] = sent[4]._replace(at=101)
    sent += [sent[6], sent[6]._replace(at=150)]
    result = result_of(sent)
    assert placed(result) == steady(range(10))
    assert result.figures.reordered == 1
    assert result.figures.duplicates == 2
    assert result.figures.packets == 10


def test_reordering_across_a_talkspurt() -> None:
    first = sender(range(5))
    second = sender(range(5), start=600, first_sequence=105, first_timestamp=14_800)
    first[4], second[0] = first[4]._replace(at=601), second[0]._replace(at=600)
    result = result_of(first + second, milliseconds=700)
    assert placed(result) == steady(range(5)) + steady(range(5), first=4800)
    assert result.gaps == [Gap(800, 4000, GapReason.SILENCE)]
    assert result.figures.reordered == 1
    assert result.figures.lost == result.figures.rebased == 0


def test_loss_at_a_talkspurt_is_told_from_its_silence() -> None:
    first = without(sender(range(5)), 4)
    second = sender(range(5), start=600, first_sequence=105, first_timestamp=14_800)
    result = result_of(first + second, milliseconds=700)
    assert result.gaps == [
        Gap(640, 160, GapReason.LOST),
        Gap(800, 4000, GapReason.SILENCE),
    ]
    assert result.figures.lost == 1


def test_stalled_network_moves_nothing() -> None:
    sent = [
        s._replace(at=2990 + n / 100 if 5 <= n < 150 else s.at)
        for n, s in enumerate(sender(range(300)))
    ]
    result = result_of(sent, milliseconds=6000)
    assert placed(result) == steady(range(300))
    assert result.figures.rebased == 0
    assert result.figures.late == 135


def test_same_timestamp_twice_is_placed_once() -> None:
    sent = sender(range(3))
    sent += sender([2], first_sequence=101, start=5)
    result = result_of(sent)
    assert placed(result) == steady(range(3))
    assert result.figures.invalid == 1


@given(st.permutations(range(12)))
def test_arrival_in_any_order_gives_the_same_audio(order: list[int]) -> None:
    sent = sender(range(12))
    leg = Leg(CODECS, START)
    for turn, n in enumerate(order):
        at = 240 + turn if n else 0
        leg.take(START + at * MS, sent[n].packet.to_bytes())
    result = finish(leg, milliseconds=240)
    if any(b - a == 1 for a, b in pairwise(order)):
        assert placed(result) == steady(range(12))
    else:
        # Never two in order: the source stays on probation.
        assert placed(result) == []


def test_events_without_their_digits_are_not_loss() -> None:
    sent = sender(range(3))
    sent += [odd(n, 101, b"") for n in range(3, 8)]
    sent += sender(range(8, 10))
    result = result_of(sent)
    assert placed(result) == steady([0, 1, 2, 8, 9])
    assert result.gaps == [Gap(480, 800, GapReason.SILENCE)]
    assert result.figures.lost == 0


def test_events_beside_the_audio_are_not_loss_even_when_unheard() -> None:
    sent = [
        s._replace(packet=replace(s.packet, sequence_number=number))
        for s, number in zip(
            sender(range(6)), (100, 101, 103, 105, 107, 108), strict=True
        )
    ]
    result = result_of(sent, milliseconds=120)
    assert result.gaps == []
    assert result.figures.lost == 0
