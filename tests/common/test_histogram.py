from hypothesis import given, strategies as st

from agent.common.histogram import Histogram

BOUNDS = (1.0, 5.0, 20.0)


def test_each_bound_counts_what_is_no_larger() -> None:
    seen = Histogram(BOUNDS)
    for value in (0.5, 1.0, 1.1, 20.0, 300.0):
        seen.observe(value)
    assert seen.cumulative == (2, 3, 4, 5)
    assert seen.total == 322.6


@given(st.lists(st.floats(min_value=0, max_value=1e6)))
def test_counts_are_those_of_the_values(values: list[float]) -> None:
    seen = Histogram(BOUNDS)
    for value in values:
        seen.observe(value)
    expected = [sum(value <= bound for value in values) for bound in BOUNDS]
    assert seen.cumulative == (*expected, len(values))
