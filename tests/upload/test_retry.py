import random

from hypothesis import given, strategies as st

from agent.upload.retry import FIRST, LONGEST, Backoff


class Late(random.Random):
    """Always the longest of what jitter allows."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_doubles_up_to_the_longest() -> None:
    backoff = Backoff(Late())
    assert [backoff.failed() for _ in range(4)] == [0.5, 1.0, 2.0, 4.0]
    for _ in range(100_000):
        backoff.failed()
    assert backoff.failed() == LONGEST


def test_begins_anew_after_a_success() -> None:
    backoff = Backoff(Late(), first=3.0)
    assert backoff.failed() == 3.0
    assert backoff.failed() == 6.0
    assert backoff.failures == 2
    backoff.succeeded()
    assert backoff.failures == 0
    assert backoff.failed() == 3.0


def test_hosts_that_failed_together_do_not_come_back_together() -> None:
    delays = {Backoff(random.Random(seed)).failed() for seed in range(50)}
    assert len(delays) == 50


@given(st.integers(0, 200), st.integers(0, 1 << 32))
def test_a_delay_is_never_too_short_or_too_long(failures: int, seed: int) -> None:
    backoff = Backoff(random.Random(seed))
    for _ in range(failures):
        backoff.failed()
    assert FIRST / 2 <= backoff.failed() <= LONGEST
