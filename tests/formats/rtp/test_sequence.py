import pytest
from hypothesis import given, strategies as st

from agent.formats.rtp.sequence import Unwrapper


def test_first_value_is_kept() -> None:
    assert Unwrapper(16).unwrap(40_000) == 40_000


def test_wrap_goes_on_upwards() -> None:
    unwrapper = Unwrapper(16)
    assert [unwrapper.unwrap(v) for v in (65_534, 65_535, 0, 1)] == [
        65_534,
        65_535,
        65_536,
        65_537,
    ]


def test_late_packet_across_the_wrap_adds_nothing() -> None:
    unwrapper = Unwrapper(16)
    assert [unwrapper.unwrap(v) for v in (65_535, 1, 0, 65_534, 2)] == [
        65_535,
        65_537,
        65_536,
        65_534,
        65_538,
    ]


def test_before_the_first_is_negative() -> None:
    unwrapper = Unwrapper(32)
    assert [unwrapper.unwrap(v) for v in (0, 0xFFFFFFFF, 160)] == [0, -1, 160]


@pytest.mark.parametrize(("step", "result"), [(32_767, 32_767), (32_768, -32_768)])
def test_half_the_range_is_the_border(step: int, result: int) -> None:
    unwrapper = Unwrapper(16)
    unwrapper.unwrap(0)
    assert unwrapper.unwrap(step) == result


@given(
    st.sampled_from([16, 32]),
    st.integers(0, 65_535),
    st.lists(st.integers(-32_767, 32_767), max_size=50),
)
def test_any_walk_of_short_steps_is_followed(
    bits: int, first: int, steps: list[int]
) -> None:
    unwrapper = Unwrapper(bits)
    position = unwrapper.unwrap(first)
    for step in steps:
        position += step
        assert unwrapper.unwrap(position % (1 << bits)) == position
