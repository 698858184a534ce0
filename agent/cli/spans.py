"""Moments as operators type them: so long ago, or a date."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from cyclopts import Parameter

from agent.common.errors import AgentError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])")
_NS: Final = 1_000_000_000

Moment = Annotated[str, Parameter(allow_leading_hyphen=False)]
"`30m`, `8h`, `7d`: so long ago; or an ISO date and time, in UTC."


class MomentError(AgentError):
    """A moment cannot be read."""

    hint = "Give 90s, 30m, 8h or 7d, or a date as 2026-11-30 or 2026-11-30T08:00."


def moment_ns(text: str, now_utc_ns: int) -> int:
    """Nanoseconds since the Unix epoch. Raises MomentError."""
    if span := _SPAN.fullmatch(text):
        return max(0, now_utc_ns - int(span[1]) * _UNITS[span[2]] * _NS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError(f"{text!r} is no moment.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * _NS
