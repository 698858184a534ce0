"""When a recording's time is over: by the calendar of its day, not by counting hours.

A recording is kept for one calendar year from the day it ended on, in Helsinki; of 29
February, until 28 February. All recordings of a day share a day key, which may go when
the last of them is a year old: as the day after its anniversary begins.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, Self

from agent.common.errors import AgentError
from agent.common.moments import EPOCH
from agent.formats.layout import HELSINKI

TIMEZONE: Final = HELSINKI.key
"Whose calendar it is: the one that names the days in central storage."
YEAR: Final = "P1Y"
"What the law of the place says, unless someone decided otherwise."
DAY_NS: Final = 24 * 3600 * 1_000_000_000
MAX_NUMBER: Final = 9999
"Of days, months or years: none may lead beyond any calendar."

_PERIOD: Final = re.compile(r"P([1-9]\d{0,3})([YMD])", re.ASCII)
_LONGEST_YEAR: Final = 366
_MONTHS: Final = 12


class PeriodError(AgentError):
    """The text names no period that recordings can be kept for."""

    hint = "Write P1Y, P6M or P90D: one number of years, months or days."


@dataclass(frozen=True, slots=True)
class Period:
    """How long, in units of the calendar (ISO 8601, one unit)."""

    number: int
    unit: Literal["Y", "M", "D"]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `P1Y`, `PnM` or `PnD`. Raises PeriodError."""
        if (found := _PERIOD.fullmatch(text)) is None:
            raise PeriodError("This is no period.")
        unit: Literal["Y", "M", "D"] = "D"
        if found[2] != "D":
            unit = "Y" if found[2] == "Y" else "M"
        return cls(int(found[1]), unit)

    def __str__(self) -> str:
        return f"P{self.number}{self.unit}"

    def after(self, day: date) -> date:
        """The day on which it is over that began on `day`.

        Where a month is shorter, its last day: of 29 February the 28th, a year later.
        The last day there is, if no calendar goes that far.
        """
        try:
            if self.unit == "D":
                return day + timedelta(self.number)
            months = self.number * (_MONTHS if self.unit == "Y" else 1)
            year, month = divmod(day.year * _MONTHS + day.month - 1 + months, _MONTHS)
            last = calendar.monthrange(year, month + 1)[1]
            return date(year, month + 1, min(day.day, last))
        except (OverflowError, ValueError, calendar.IllegalMonthError):
            return date.max

    @property
    def exceeds_a_year(self) -> bool:
        """Whether there is a day from which it is longer than P1Y."""
        if self.unit == "D":
            # 365 days end before the anniversary where a 29 February lies between.
            return self.number >= _LONGEST_YEAR
        return self.number > (1 if self.unit == "Y" else _MONTHS)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the sweep goes by."""

    period: Period

    @property
    def id(self) -> str:
        """How a tombstone names it."""
        return str(self.period)

    def expires_on(self, ended: date) -> date:
        """The local day on which a recording that ended on `ended` becomes due."""
        return self.period.after(ended)

    def erasable_from(self, ended: date) -> int:
        """From when on all recordings of a day are due: nanoseconds since the epoch.

        It is the first moment of the local day after; none of them is by then more than
        a calendar day overdue.
        """
        return start_of_day(next_day(self.expires_on(ended)))

    def due(self, ended: date, now_ns: int) -> bool:
        """Whether the recordings of a day may be erased, all of them."""
        return now_ns >= self.erasable_from(ended)

    def late(self, ended: date, now_ns: int) -> bool:
        """Whether a day's recordings should have been erased a day ago."""
        return now_ns >= self.erasable_from(ended) + DAY_NS


def start_of_day(day: date) -> int:
    """The first moment of a local day: nanoseconds since the epoch."""
    begins = datetime.combine(day, time(), tzinfo=HELSINKI)
    return (begins.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1000


def next_day(day: date) -> date:
    """The day after, or the last one there is."""
    return day if day == date.max else day + timedelta(1)
