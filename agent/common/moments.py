"""Moments as all documents of ours spell them: UTC, ISO 8601, and a Z at the end.

To the second where people decide (a roster, a request), to the millisecond where events
are told (an audit row, a manifest). There is one spelling of each moment, so that what
is signed or compared is the same octets everywhere.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TO_THE_SECOND: Final = "%Y-%m-%dT%H:%M:%SZ"


def moment_of(utc_ns: int) -> datetime:
    """Nanoseconds since the Unix epoch as a moment, to the microsecond."""
    return EPOCH + timedelta(microseconds=utc_ns // 1000)


def moment_text(at: datetime) -> str:
    """`2026-11-29T12:00:00Z`, of a moment with any time zone."""
    return at.astimezone(UTC).strftime(_TO_THE_SECOND)


def parse_moment(text: str) -> datetime:
    """What `moment_text` has written. Raises ValueError for any other spelling."""
    found = datetime.strptime(text, _TO_THE_SECOND).replace(tzinfo=UTC)
    if moment_text(found) != text:
        raise ValueError("a UTC time has the form 2026-11-29T12:00:00Z")
    return found


def time_text(utc_ns: int) -> str:
    """`2026-11-29T12:00:00.000Z`, of nanoseconds since the Unix epoch."""
    text = moment_of(utc_ns).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
