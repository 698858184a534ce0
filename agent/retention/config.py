"""`[retention]`: how long central storage keeps a recording."""

from typing import Final

import msgspec

from agent.retention.policy import TIMEZONE, Period, PeriodError, Policy

LATE_UPLOADS: Final = 7
"Days within which a host brings what it recorded."


class RetentionConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """How long, and how the sweep goes about it."""

    period: str = "P1Y"
    "`P1Y`, `PnM` or `PnD`, counted from the day a recording ended on."
    timezone: str = TIMEZONE
    "Whose calendar; the days in central storage are named by it, so it is this one."
    decision: str = ""
    "Where it is recorded that more than a year was decided; else that is refused."
    wait: float = 3600.0
    "Seconds from a day's mark to its erasure, in which a mistake can still be stopped."
    late_uploads: int = LATE_UPLOADS
    """Days within which a host brings what it recorded; a day's old key lives so long.
    Hosts reckon with seven at least (agent.recording.dispatch)."""

    def __post_init__(self) -> None:
        try:
            period = Period.parse(self.period)
        except PeriodError as error:
            raise ValueError(f"period: {error}") from error
        if period.exceeds_a_year and not self.decision.strip():
            raise ValueError(
                "period is longer than a year: decision must say where that is recorded"
            )
        if self.timezone != TIMEZONE:
            raise ValueError(f"timezone must be {TIMEZONE}: the days are named by it")
        if not 0 <= self.wait <= 86_400:
            raise ValueError("wait must be 0 to 86400 seconds")
        if not LATE_UPLOADS <= self.late_uploads <= 60:
            raise ValueError(
                f"late_uploads must be {LATE_UPLOADS} to 60 days: hosts reckon with"
                f" {LATE_UPLOADS}"
            )

    def policy(self) -> Policy:
        """What the sweep goes by."""
        return Policy(Period.parse(self.period))
