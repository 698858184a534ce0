from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from agent.signalling.siprec.metadata import Flaw
from agent.signalling.siprec.metadata_time import parse_time

SECOND = 1_000_000_000


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-03-09T16:50:20Z", at(2019, 3, 9, 16, 50, 20)),
        ("2019-03-09t16:50:20z", at(2019, 3, 9, 16, 50, 20)),
        ("2019-03-09T16:50:20-05:00", at(2019, 3, 9, 21, 50, 20)),
        ("2019-03-09 16:50:20+0130", at(2019, 3, 9, 15, 20, 20)),
        ("2017-06-23T12:16:06.040Z", at(2017, 6, 23, 12, 16, 6) + 40_000_000),
        ("2017-06-23T12:16:06,1234567891Z", at(2017, 6, 23, 12, 16, 6) + 123_456_789),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1)),
        ("2020-02-29T00:00:00Z", at(2020, 2, 29)),
    ],
)
def test_times_are_of_utc(text: str, expected: int) -> None:
    assert parse_time(text) == (expected, None)


def test_without_a_zone_it_is_utc_and_flagged() -> None:
    expected = (at(2019, 3, 9, 16, 50, 20), Flaw.TIME_WITHOUT_ZONE)
    assert parse_time("2019-03-09T16:50:20") == expected


def test_a_clock_that_nobody_set_is_kept_and_flagged() -> None:
    expected = (at(1970, 5, 13, 3, 29, 5), Flaw.TIME_IMPLAUSIBLE)
    assert parse_time("1970-05-13T03:29:05Z") == expected
    assert parse_time("1960-01-01T00:00:00Z") == (at(1960, 1, 1), Flaw.TIME_IMPLAUSIBLE)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2019-03-09", "2019-13-09T16:50:20Z", "2019-02-30T16:50:20Z"),
        *("2019-03-09T24:50:20Z", "2019-03-09T16:50:61Z", "0001-01-01T00:00:00+23:00"),
        # Beyond what 64 bits of nanoseconds hold, as the next process's state must.
        *("1677-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
        *("9999-12-31T23:59:60Z", "2019-03-09T16:50:20+99:99x", "0000-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) == (None, Flaw.TIME)


FIRST, LAST = datetime(2010, 1, 1), datetime(2261, 12, 30)  # noqa: DTZ001


@given(st.datetimes(FIRST, LAST, timezones=st.timezones()))
def test_what_iso_writes_is_read(moment: datetime) -> None:
    offset = moment.utcoffset()
    assert offset is not None
    if offset.total_seconds() % 60 or offset.total_seconds() < -86_400:
        return  # before time zones were whole minutes
    text = moment.isoformat()
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole = since.days * 86_400 + since.seconds
    assert parse_time(text) == (whole * SECOND + since.microseconds * 1000, None)


@given(st.text(max_size=40))
def test_anything_is_a_time_or_none(text: str) -> None:
    parse_time(text)
