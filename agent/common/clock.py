"""The two clocks of the agent; the only module that reads them."""

import time
from datetime import UTC, datetime

_NANOSECONDS = 1_000_000_000


# The standard library's own: every packet asks, and a function of ours around each
# takes longer than the clock.
monotonic = time.monotonic
"Seconds of CLOCK_MONOTONIC, which all processes of a host share."
monotonic_ns = time.monotonic_ns
"Nanoseconds of CLOCK_MONOTONIC, which all processes of a host share."
utc_ns = time.time_ns
"Nanoseconds since the Unix epoch; may step."


def utc_ahead_ns() -> int:
    """How far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC now, to a microsecond.

    Both are read several times: between two readings the process may lose the CPU.
    """
    readings = []
    for _ in range(5):
        before = time.monotonic_ns()
        utc = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, utc - (before + after) // 2))
    return min(readings)[1]


def utc_now() -> datetime:
    """The present moment, in UTC; may step."""
    return datetime.fromtimestamp(time.time_ns() / _NANOSECONDS, tz=UTC)
