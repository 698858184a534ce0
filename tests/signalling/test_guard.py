import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.guard import ALL_SOURCES, Guard

STRANGER = "198.51.100.7"


def test_a_burst_then_the_rate() -> None:
    guard = Guard(rate=2.0, burst=3, max_sources=10)
    assert [guard.allow(STRANGER, 0.0) for _ in range(4)] == [True] * 3 + [False]
    assert not guard.allow(STRANGER, 0.4)
    assert guard.allow(STRANGER, 0.5)
    assert not guard.allow(STRANGER, 0.5)
    assert guard.refused == 3
    assert [guard.allow(STRANGER, 100.0) for _ in range(4)] == [True] * 3 + [False]


def test_one_source_does_not_use_up_anothers_answers() -> None:
    guard = Guard(rate=1.0, burst=1, max_sources=10)
    assert guard.allow(STRANGER, 0.0)
    assert not guard.allow(STRANGER, 0.0)
    assert guard.allow("198.51.100.8", 0.0)


def test_the_table_is_bounded_and_forgets_the_longest_unheard() -> None:
    guard = Guard(rate=0.001, burst=1, max_sources=2)
    assert guard.allow("a", 0.0)
    assert guard.allow("b", 1.0)
    assert not guard.allow("a", 2.0)
    assert guard.allow("c", 3.0)
    assert len(guard) == 2
    assert not guard.allow("a", 4.0)
    assert guard.allow("b", 5.0)


def test_a_flood_from_forged_sources_gets_no_more_than_the_common_rate() -> None:
    guard = Guard(rate=1.0, burst=2, max_sources=100)
    answered = sum(
        guard.allow(f"198.51.{number // 256}.{number % 256}", number / 1000)
        for number in range(10_000)
    )
    assert answered == pytest.approx(ALL_SOURCES * (2 + 10), abs=2)
    assert guard.refused == 10_000 - answered


def test_rate_nought_answers_nobody() -> None:
    guard = Guard(rate=0.0, burst=0, max_sources=10)
    assert not guard.allow(STRANGER, 0.0)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    guard = Guard(rate=1.0, burst=1, max_sources=10)
    assert guard.allow(STRANGER, 10.0)
    assert not guard.allow(STRANGER, 0.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::9", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("::ffff:198.51.100.7", "::ffff:198.51.100.8", False),
        ("not:an:address", "not:another:address", False),
    ],
)
def test_what_counts_as_one_source(one: str, other: str, *, same: bool) -> None:
    guard = Guard(rate=1.0, burst=1, max_sources=10)
    assert guard.allow(one, 0.0)
    assert guard.allow(other, 0.0) is not same


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 2)), max_size=60),
    st.integers(1, 5),
)
def test_never_more_than_burst_and_rate(
    arrivals: list[tuple[str, float]], max_sources: int
) -> None:
    guard = Guard(rate=1.0, burst=2, max_sources=max_sources)
    now = 0.0
    allowed = 0
    for source, pause in arrivals:
        now += pause
        allowed += guard.allow(source, now)
        assert len(guard) <= max_sources
    assert allowed <= ALL_SOURCES * (2 + now)
    assert allowed + guard.refused == len(arrivals)
