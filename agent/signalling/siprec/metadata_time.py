"""Times of recording metadata: RFC 7865's are RFC 3339's, with a zone."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.signalling.siprec.metadata import Flaw

FIRST_PLAUSIBLE_YEAR: Final = 2010
"The year of the first drafts of SIPREC."

LAST_YEAR: Final = 2261
"The last whole one whose nanoseconds fit into 64 bits, as all that is kept must."
FIRST_YEAR: Final = 1678
"And the first."

_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,18}))?"
    r"\s*([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def parse_time(text: str) -> tuple[int | None, Flaw | None]:
    """UTC in nanoseconds since 1970, and what is wrong with it.

    None: it could not be read.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None, Flaw.TIME
    year, month, day, hour, minute, second = (int(found[n]) for n in range(1, 7))
    zone = found[8]
    try:
        # A leap second is the beginning of the next minute, as for POSIX.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        moment += timedelta(seconds=1 if second == 60 else 0) - _offset(zone)
    except (ValueError, OverflowError):
        return None, Flaw.TIME
    if second > 60 or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None, Flaw.TIME
    since = moment - _EPOCH
    whole = since.days * 86_400 + since.seconds
    nanoseconds = whole * _SECOND + int((found[7] or "")[:9].ljust(9, "0"))
    if year < FIRST_PLAUSIBLE_YEAR:
        return nanoseconds, Flaw.TIME_IMPLAUSIBLE
    return nanoseconds, Flaw.TIME_WITHOUT_ZONE if zone is None else None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    sign = -1 if zone[0] == "-" else 1
    return sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
