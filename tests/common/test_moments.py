"""Moments have one spelling each."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from agent.common.moments import (
    EPOCH,
    moment_of,
    moment_text,
    parse_moment,
    time_text,
)

HELSINKI = timezone(timedelta(hours=2))
NOON = datetime(2026, 11, 29, 14, 0, 0, 999_999, HELSINKI)


def test_it_is_utc_and_cut_and_never_rounded() -> None:
    assert moment_text(NOON) == "2026-11-29T12:00:00Z"
    nanoseconds = (NOON - EPOCH) // timedelta(microseconds=1) * 1000
    assert time_text(nanoseconds + 999) == "2026-11-29T12:00:00.999Z"
    assert moment_of(nanoseconds + 999) == NOON


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30)))  # noqa: DTZ001
def test_what_was_written_is_read(at: datetime) -> None:
    moment = at.replace(microsecond=0, tzinfo=HELSINKI)
    assert parse_moment(moment_text(moment)) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-29", "2026-11-29T12:00:00", "2026-11-29T12:00:00+00:00"),
        *("2026-1-29T12:00:00Z", "2026-11-29T12:00:0Z", " 2026-11-29T12:00:00Z"),
        *("2026-11-29T12:00:00.000Z", "2026-02-30T12:00:00Z", "2026-11-29t12:00:00Z"),
    ],
)
def test_another_spelling_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_moment(text)
