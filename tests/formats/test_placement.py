from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.placement import Placement, is_valid, place

RATE = 8000


def placement(
    packets: Sequence[tuple[int, int, float]],
    *,
    samples: int | Sequence[int] = 160,
    scale: int | Sequence[int] = 1,
) -> Placement:
    """Place (sequence number, timestamp, arrival in samples) in arrival order."""
    columns = list(zip(*packets, strict=True)) or [(), (), ()]
    return place(
        np.array(columns[0], np.int64) % (1 << 16),
        np.array(columns[1], np.int64) % (1 << 32),
        np.array(columns[2], np.float64),
        length=np.broadcast_to(np.array(samples, np.int64), len(packets)),
        scale=np.broadcast_to(np.array(scale, np.int64), len(packets)),
        clock_rate=RATE,
    )


def talk(
    count: int, *, sequence: int = 0, timestamp: int = 0, arrival: float = 0.0
) -> list[tuple[int, int, float]]:
    """A talkspurt: every number a step of 160 samples, arriving on time."""
    return [
        (sequence + n, timestamp + n * 160, arrival + n * 160) for n in range(count)
    ]


@pytest.mark.parametrize(
    ("sequence", "verdict"),
    [
        ([], False),
        ([7], False),
        ([7, 9, 8, 10], False),
        ([7, 9, 10], True),
        ([65_535, 0], True),
    ],
)
def test_source_is_valid_by_two_in_order(sequence: list[int], *, verdict: bool) -> None:
    assert is_valid(np.array(sequence, np.int64)) is verdict


def test_steady() -> None:
    result = placement(talk(5, sequence=65_533, timestamp=2**32 - 320, arrival=37.4))
    assert result.positions.tolist() == [37, 197, 357, 517, 677]
    assert result.order.tolist() == [0, 1, 2, 3, 4]
    assert result.missing.tolist() == [0] * 5
    assert result.jitter == pytest.approx(0)


def test_no_audio_at_all() -> None:
    result = placement(talk(3), samples=0)
    assert result.positions.tolist() == []
    assert (result.duplicates, result.stray, result.rebased) == (0, 0, 0)
    assert (result.jitter, result.jitter_max) == (0, 0)


def test_missing_counts_up() -> None:
    packets = talk(10)
    result = placement([packets[n] for n in (0, 1, 4, 5, 9)])
    assert result.missing.tolist() == [0, 0, 2, 2, 5]


def test_order_is_that_of_the_sequence() -> None:
    packets = talk(4)
    result = placement([packets[0], packets[2], packets[1], packets[2], packets[3]])
    assert result.order.tolist() == [0, 2, 1, 4]
    assert (result.reordered, result.duplicates) == (1, 1)


def test_jitter_is_that_of_appendix_a_8() -> None:
    packets = talk(3)
    packets[2] = (2, 320, 400.0)
    result = placement(packets)
    assert result.jitter_max == pytest.approx(80 / 16)
    assert result.jitter == pytest.approx(80 / 32)


def test_drift_does_not_move_the_start() -> None:
    # 200 parts per million: 1.4 s over two hours.
    packets = [(n, n * 160, n * 160 * 0.9998) for n in range(360_000)]
    result = placement(packets)
    assert result.positions[0] == pytest.approx(-96, abs=1)
    assert np.all(np.diff(result.positions) == 160)


def test_slow_drift_is_corrected_at_a_pause_when_it_exceeds_a_second() -> None:
    packets = talk(5)
    for spurt in range(1, 8):
        packets += talk(
            5,
            sequence=5 * spurt,
            timestamp=8000 * spurt,
            arrival=8000 * spurt + 1500 * spurt,
        )
    result = placement(packets)
    assert result.rebased == 1
    assert result.positions[-1] - packets[-1][2] == -1500


@pytest.mark.parametrize(
    ("ahead", "anchors"), [(1900, 0), (2100, 1), (9000, 1), (100_000, 1)]
)
def test_nothing_arrives_before_its_time(ahead: int, anchors: int) -> None:
    second = talk(5, sequence=5, timestamp=16_000 + ahead, arrival=16_000)
    assert placement(talk(5) + second).rebased == anchors


@pytest.mark.parametrize(("behind", "anchors"), [(7900, 0), (8100, 1)])
def test_lateness_is_believed_for_a_second(behind: int, anchors: int) -> None:
    second = talk(5, sequence=5, timestamp=16_000, arrival=16_000 + behind)
    assert placement(talk(5) + second).rebased == anchors


def test_many_small_leaps_ahead_are_not_one_offset() -> None:
    packets = talk(5)
    for spurt in range(1, 11):
        packets += talk(
            5,
            sequence=5 * spurt,
            timestamp=8000 * spurt + 1800 * spurt,
            arrival=8000 * spurt,
        )
    result = placement(packets)
    assert result.rebased > 0
    arrivals = np.array([arrival for _, _, arrival in packets])[result.order]
    assert np.abs(result.positions - arrivals).max() <= RATE


def test_first_packet_with_another_clock() -> None:
    result = placement([(0, 3_000_000_000, 0.0), *talk(5, sequence=1, arrival=160)])
    assert result.positions.tolist() == [160, 320, 480, 640, 800]
    assert result.stray == 1


def test_lone_packet_followed_by_its_like_begins_another_clock() -> None:
    alone = [(5, 900_000, 800.0)]
    # A pause cuts the block after it.
    more = talk(3, sequence=6, timestamp=900_160 + 4000, arrival=960 + 4000)
    result = placement(talk(5) + alone + more)
    assert result.rebased == 1
    assert result.positions[5:].tolist() == [800, 4960, 5120, 5280]


def test_last_packet_alone_with_another_clock() -> None:
    result = placement([*talk(5), (5, 900_000, 800.0)])
    assert (len(result.positions), result.stray, result.rebased) == (5, 1, 0)


def test_first_packet_with_a_wild_sequence_number() -> None:
    result = placement([(30_000, 0, 0.0), *talk(5, timestamp=160, arrival=160)])
    assert result.positions.tolist() == [160, 320, 480, 640, 800]
    assert result.stray == 1


def test_restart_backwards_keeps_its_order() -> None:
    second = talk(5, sequence=20_000, timestamp=800, arrival=800)
    result = placement(talk(5, sequence=30_000) + second)
    assert result.order.tolist() == list(range(10))
    assert (result.reordered, result.missing[-1]) == (0, 0)


def test_every_packet_another_clock_is_quick() -> None:
    rng = np.random.default_rng(1)
    count = 20_000
    result = place(
        np.arange(count) % (1 << 16),
        rng.integers(0, 2**32, count),
        np.arange(count) * 160.0,
        length=np.full(count, 160),
        scale=np.ones(count, np.int64),
        clock_rate=RATE,
    )
    assert len(result.positions) + result.stray == count


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 65_535),
            st.one_of(st.integers(0, 50_000), st.integers(0, 2**32 - 1)),
            st.floats(-1e5, 1e6),
            st.sampled_from([0, 1, 160, 1400]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_comes_positions_increase_and_nothing_is_uncounted(
    packets: list[tuple[int, int, float, int]],
) -> None:
    lengths = [length for *_, length in packets]
    result = placement([(s, t, a) for s, t, a, _ in packets], samples=lengths)
    assert np.all(np.diff(result.positions) > 0)
    assert len(set(result.order.tolist())) == len(result.order)
    assert np.all(np.diff(result.missing) >= 0)
    silent = sum(length == 0 for length in lengths)
    audible = len(packets) - silent
    assert len(result.positions) <= audible
    counted = len(result.positions) + result.duplicates + result.stray
    assert audible <= counted <= len(packets)


def test_another_clock_is_another_count_of_timestamps() -> None:
    """G.711 at 8000, Opus at 48000, G.711 again: one source, one sequence."""
    first = [(n, 5000 + 160 * n, 960.0 * n) for n in range(10)]
    second = [(n, 70_000 + 960 * n, 960.0 * n) for n in range(10, 20)]
    third = [(n, 5000 + 160 * n, 960.0 * n) for n in range(20, 30)]
    result = placement(
        first + second + third, samples=960, scale=[6] * 10 + [1] * 10 + [6] * 10
    )
    assert result.positions.tolist() == [960 * n for n in range(30)]
    assert (result.stray, result.rebased, result.missing.tolist()) == (0, 2, [0] * 30)
