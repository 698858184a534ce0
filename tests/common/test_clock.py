from datetime import UTC

from agent.common import clock


def test_the_clocks_agree_with_themselves() -> None:
    before = clock.monotonic_ns()
    assert before <= clock.monotonic() * 1e9 <= clock.monotonic_ns() + 1
    assert clock.utc_now().tzinfo is UTC
    assert abs(clock.utc_ns() / 1e9 - clock.utc_now().timestamp()) < 1
