from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from agent.formats.layout import HELSINKI, day_of
from agent.retention.policy import (
    DAY_NS,
    Period,
    PeriodError,
    Policy,
    next_day,
    start_of_day,
)

YEAR = Policy(Period.parse("P1Y"))
HOUR_NS = 3600 * 10**9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENDS = st.integers(  # 1990 to 2089, to the microsecond
    start_of_day(date(1990, 1, 1)) // 1000, start_of_day(date(2090, 1, 1)) // 1000
).map(lambda us: us * 1000)


def utc(*parts: int) -> int:
    return int((datetime(*parts, tzinfo=UTC) - EPOCH) / timedelta(seconds=1)) * 10**9


@pytest.mark.parametrize(
    ("ended", "expires"),
    [
        (date(2026, 11, 23), date(2027, 11, 23)),
        (date(2028, 2, 29), date(2029, 2, 28)),
        (date(2027, 2, 28), date(2028, 2, 28)),
        (date(2027, 3, 1), date(2028, 3, 1)),
        (date(2026, 12, 31), date(2027, 12, 31)),
    ],
)
def test_a_year_is_a_calendar_year(ended: date, expires: date) -> None:
    assert YEAR.expires_on(ended) == expires


@pytest.mark.parametrize(
    ("period", "begun", "over"),
    [
        ("P6M", date(2026, 8, 31), date(2027, 2, 28)),
        ("P12M", date(2028, 2, 29), date(2029, 2, 28)),
        ("P90D", date(2026, 1, 1), date(2026, 4, 1)),
        ("P4Y", date(2024, 2, 29), date(2028, 2, 29)),
        ("P9999Y", date(2026, 1, 1), date.max),
        ("P9999M", date(9999, 1, 1), date.max),
        ("P9999D", date(9999, 1, 1), date.max),
    ],
)
def test_a_period_ends_where_the_calendar_says(
    period: str, begun: date, over: date
) -> None:
    assert Period.parse(period).after(begun) == over
    assert str(Period.parse(period)) == period


def test_a_key_goes_as_the_day_after_the_anniversary_begins_in_helsinki() -> None:
    assert YEAR.erasable_from(date(2026, 11, 23)) == utc(2027, 11, 23, 22)
    assert YEAR.erasable_from(date(2026, 7, 1)) == utc(2027, 7, 1, 21)
    assert YEAR.id == "P1Y"


def test_the_end_of_the_calendar_is_no_error() -> None:
    assert next_day(date.max) == date.max
    assert not Policy(Period.parse("P9999Y")).due(date(2026, 1, 1), utc(2900, 1, 1))


@pytest.mark.parametrize(
    "text", ["", "P", "1Y", "P0Y", "P1W", "P1Y2M", "P-1D", "P10000D", "p1y", "P1Y\n"]
)
def test_anything_else_is_no_period(text: str) -> None:
    with pytest.raises(PeriodError, match="Write P1Y"):
        Period.parse(text)


@pytest.mark.parametrize(
    ("text", "longer"),
    [
        ("P1Y", False),
        ("P12M", False),
        ("P365D", False),
        ("P1D", False),
        ("P2Y", True),
        ("P13M", True),
        ("P366D", True),
    ],
)
def test_what_is_longer_than_a_year_is_known(text: str, longer: bool) -> None:
    assert Period.parse(text).exceeds_a_year is longer


@given(ended_ns=ENDS)
def test_nothing_goes_early_and_nothing_more_than_a_day_late(ended_ns: int) -> None:
    ended = EPOCH + timedelta(microseconds=ended_ns // 1000)
    local = ended.astimezone(HELSINKI)
    try:
        anniversary = local.replace(year=local.year + 1)
    except ValueError:  # 29 February
        anniversary = local.replace(year=local.year + 1, day=28)
    expires_ns = int((anniversary - EPOCH) / timedelta(microseconds=1)) * 1000
    goes = YEAR.erasable_from(day_of(ended_ns))
    assert goes > expires_ns
    # One local day; that of the clocks' going back has an hour more than 24.
    assert goes - expires_ns <= DAY_NS + HOUR_NS
    assert not YEAR.due(day_of(ended_ns), goes - 1)
    assert YEAR.due(day_of(ended_ns), goes)
    assert not YEAR.late(day_of(ended_ns), goes + DAY_NS - 1)
    assert YEAR.late(day_of(ended_ns), goes + DAY_NS)


def test_a_driven_clock_of_400_days_erases_each_day_once_at_its_time() -> None:
    first = date(2027, 1, 15)  # over a leap day, and both changes of the clocks, twice
    days = [first + timedelta(n) for n in range(35)] + [
        date(2027, 2, 28), date(2027, 3, 28), date(2027, 10, 31), date(2028, 2, 29),
    ]  # fmt: skip
    gone: dict[date, int] = {}
    now = start_of_day(date(2028, 1, 1))
    for _ in range(430 * 24):
        for day in days:
            if day not in gone and YEAR.due(day, now):
                gone[day] = now
        now += HOUR_NS
    assert gone.keys() == set(days)
    for day, at in gone.items():
        last = start_of_day(next_day(day)) - 1  # the last recording of the day
        assert at > last + 365 * DAY_NS - 2 * HOUR_NS
        assert day_of(at) == next_day(YEAR.expires_on(day))


@given(day=st.dates(date(1950, 1, 1), date(2200, 1, 1)), number=st.integers(1, 500))
def test_a_longer_period_never_ends_earlier(day: date, number: int) -> None:
    for unit in "YMD":
        shorter, longer = (Period.parse(f"P{n}{unit}") for n in (number, number + 1))
        assert day < shorter.after(day) <= longer.after(day)


@given(day=st.dates(date(1950, 1, 1), date(2200, 1, 1)))
def test_days_begin_when_they_do(day: date) -> None:
    assert day_of(start_of_day(day)) == day
    assert day_of(start_of_day(day) - 1) == day - timedelta(1)
