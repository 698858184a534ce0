from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from agent.formats.gap_map import MAX_ENTRIES, Entry, gap_map
from agent.formats.track import Gap, GapReason

LOST, SILENCE, HOLD = GapReason.LOST, GapReason.SILENCE, GapReason.HOLD


def test_none_at_all() -> None:
    assert gap_map([]) == []


def test_few_are_listed_as_they_are() -> None:
    gaps = [
        Gap(0, 10, SILENCE),
        Gap(20, 5, LOST),
        Gap(25, 100, HOLD),
        Gap(200, 5, LOST),
    ]
    assert gap_map(gaps, most=2) == [
        Entry(start, samples, samples, 1, reason) for start, samples, reason in gaps
    ]


def test_those_with_least_audio_between_them_are_told_as_one() -> None:
    gaps = [Gap(at, 5, LOST) for at in (0, 10, 40, 47, 100)]
    assert gap_map(gaps, most=4) == [
        Entry(0, 5, 5, 1, LOST),
        Entry(10, 5, 5, 1, LOST),
        Entry(40, 12, 10, 2, LOST),
        Entry(100, 5, 5, 1, LOST),
    ]
    assert gap_map(gaps, most=3)[0] == Entry(0, 15, 10, 2, LOST)
    assert gap_map(gaps, most=1) == [Entry(0, 105, 25, 5, LOST)]


def test_of_equal_distances_the_first_is_cut() -> None:
    gaps = [Gap(at, 5, LOST) for at in (0, 10, 20)]
    assert gap_map(gaps, most=2) == [
        Entry(0, 5, 5, 1, LOST),
        Entry(10, 15, 10, 2, LOST),
    ]


def test_reasons_are_not_mixed() -> None:
    gaps = [Gap(at, 5, (LOST, SILENCE)[at % 20 // 10]) for at in range(0, 60, 10)]
    assert gap_map(gaps, most=1) == [
        Entry(0, 45, 15, 3, LOST),
        Entry(10, 45, 15, 3, SILENCE),
    ]


def test_an_hour_that_loses_every_seventh_packet_is_bounded() -> None:
    rng = np.random.default_rng(1)
    lost = np.flatnonzero(rng.random(180_000) < 0.15)
    entries = gap_map([Gap(n * 160, 160, LOST) for n in lost.tolist()])
    assert len(entries) == MAX_ENTRIES
    assert sum(entry.silent for entry in entries) == 160 * len(lost)


@pytest.mark.parametrize("most", [1, 2, 5])
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 20), st.sampled_from(GapReason)),
        max_size=30,
    )
)
def test_nothing_is_lost_from_the_sum(
    most: int, pieces: list[tuple[int, int, GapReason]]
) -> None:
    gaps: list[Gap] = []
    at = 0
    for audio, samples, reason in pieces:
        gaps.append(Gap(at + audio, samples, reason))
        at += audio + samples
    entries = gap_map(gaps, most)
    assert entries == sorted(entries)
    for reason in GapReason:
        given_ = [gap for gap in gaps if gap.reason is reason]
        told = [entry for entry in entries if entry.reason is reason]
        assert len(told) == min(len(given_), most)
        assert sum(e.parts for e in told) == len(given_)
        assert sum(e.silent for e in told) == sum(gap.samples for gap in given_)
        for gap in given_:
            assert any(
                entry.start <= gap.start
                and gap.start + gap.samples <= entry.start + entry.samples
                for entry in told
            )
        assert all(e.silent <= e.samples for e in told)
        assert all(b.start >= a.start + a.samples for a, b in pairwise(told))
