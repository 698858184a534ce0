import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.formats.placements import placement, talk


def test_steady() -> None:
    result = placement(talk(5, sequence=65_533, timestamp=2**32 - 320, arrival=37.4))
    assert result.positions.tolist() == [37, 197, 357, 517, 677]
    assert result.order.tolist() == [0, 1, 2, 3, 4]
    assert result.missing.tolist() == [0] * 5
    assert result.figures.jitter == pytest.approx(0)


def test_no_audio_at_all() -> None:
    result = placement(talk(3), samples=0)
    assert result.positions.tolist() == []
    assert (
        result.figures.duplicates,
        result.figures.stray,
        result.figures.rebased,
    ) == (0, 0, 0)
    assert (result.figures.jitter, result.figures.jitter_max) == (0, 0)


def test_missing_counts_up() -> None:
    packets = talk(10)
    result = placement([packets[n] for n in (0, 1, 4, 5, 9)])
    assert result.missing.tolist() == [0, 0, 2, 2, 5]


def test_order_is_that_of_the_sequence() -> None:
    packets = talk(4)
    result = placement([packets[0], packets[2], packets[1], packets[2], packets[3]])
    assert result.order.tolist() == [0, 2, 1, 4]
    assert (result.figures.reordered, result.figures.duplicates) == (1, 1)


def test_jitter_is_that_of_appendix_a_8() -> None:
    packets = talk(3)
    packets[2] = (2, 320, 400.0)
    result = placement(packets)
    assert result.figures.jitter_max == pytest.approx(80 / 16)
    assert result.figures.jitter == pytest.approx(80 / 32)


@settings(max_examples=100)
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
    counted = len(result.positions) + result.figures.duplicates + result.figures.stray
    assert audible <= counted <= len(packets)
