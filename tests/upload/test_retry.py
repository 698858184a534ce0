import random

from hypothesis import given, strategies as st

from agent.upload.retry import FIRST, LONGEST, delay_after


class Late(random.Random):
    """Always the longest of what jitter allows."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_doubles_up_to_the_longest() -> None:
    delays = [delay_after(failures, Late()) for failures in (1, 2, 3, 4, 100_000)]
    assert delays == [0.5, 1.0, 2.0, 4.0, LONGEST]


def test_hosts_that_failed_together_do_not_come_back_together() -> None:
    assert len({delay_after(1, random.Random(seed)) for seed in range(50)}) == 50


@given(st.integers(1, 200), st.integers(0, 1 << 32))
def test_a_delay_is_never_too_short_or_too_long(failures: int, seed: int) -> None:
    assert FIRST / 2 <= delay_after(failures, random.Random(seed)) <= LONGEST
