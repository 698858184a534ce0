"""The two clocks of the agent; the only module that reads them."""

import time
from datetime import UTC, datetime

_NANOSECONDS = 1_000_000_000


def monotonic() -> float:
    """Seconds of CLOCK_MONOTONIC, which all processes of a host share."""
    return time.monotonic()


def monotonic_ns() -> int:
    """Nanoseconds of CLOCK_MONOTONIC, which all processes of a host share."""
    return time.monotonic_ns()


def utc_ns() -> int:
    """Nanoseconds since the Unix epoch; may step."""
    return time.time_ns()


def utc_now() -> datetime:
    """The present moment, in UTC; may step."""
    return datetime.fromtimestamp(time.time_ns() / _NANOSECONDS, tz=UTC)
