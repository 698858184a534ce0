from datetime import UTC

from agent.common import clock


def test_the_clocks_agree_with_themselves() -> None:
    before = clock.monotonic_ns()
    assert before <= clock.monotonic() * 1e9 <= clock.monotonic_ns() + 1
    assert clock.utc_now().tzinfo is UTC
    assert abs(clock.utc_ns() / 1e9 - clock.utc_now().timestamp()) < 1


def test_the_distance_between_the_clocks() -> None:
    ahead = clock.utc_ahead_ns()
    assert abs(ahead - (clock.utc_ns() - clock.monotonic_ns())) < 1_000_000_000
    assert abs(ahead - clock.utc_ahead_ns()) < 1_000_000
