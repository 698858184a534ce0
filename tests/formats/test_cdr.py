import csv
import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from agent.formats.cdr import (
    ASTERISK,
    FIELDS,
    FREESWITCH,
    MAX_LINE,
    MAX_SECONDS,
    CdrError,
    Columns,
    Span,
    columns_of,
    read_record,
    rows,
)

HELSINKI = ZoneInfo("Europe/Helsinki")
NS = 10**9
ASTERISK_LINE = (
    '"","0401234567","600","agent","""Ann"" <0401234567>","PJSIP/a-1","","Echo","",'
    '"2026-11-23 10:00:00","2026-11-23 10:00:02","2026-11-23 10:01:00",60,58,'
    '"ANSWERED","DOCUMENTATION","lab-1795420800.0","3c26-abc@192.0.2.1"\n'
)
FREESWITCH_LINE = (
    '"Ann","0401234567","600","default","2026-11-23 10:00:00","2026-11-23 10:00:02",'
    '"2026-11-23 10:01:00","60","58","NORMAL_CLEARING","4b7e-1","","","PCMA","PCMA"'
)


def ns(*at: int) -> int:
    return int(datetime(*at, tzinfo=UTC).timestamp()) * NS


def one(line: str, columns: Columns) -> object:
    [row] = rows([line])
    assert isinstance(row, list)
    return read_record(row, columns, HELSINKI)


def test_a_record_of_asterisk() -> None:
    record = read_record(next(csv.reader([ASTERISK_LINE])), ASTERISK, HELSINKI)
    assert record.spans == (Span(ns(2026, 11, 23, 8), ns(2026, 11, 23, 8, 1)),)
    assert record.answered
    assert record.call_id == "3c26-abc@192.0.2.1"
    assert "3c26" not in repr(record)
    for told, instead in (('58,"ANSWERED"', '0,"ANSWERED"'), ("ANSWERED", "BUSY")):
        other = read_record(
            next(csv.reader([ASTERISK_LINE.replace(told, instead)])), ASTERISK, HELSINKI
        )
        assert not other.answered


def test_a_record_of_freeswitch() -> None:
    record = read_record(next(csv.reader([FREESWITCH_LINE])), FREESWITCH, HELSINKI)
    assert record.spans == (Span(ns(2026, 11, 23, 8), ns(2026, 11, 23, 8, 1)),)
    assert (record.answered, record.call_id) == (True, "")
    line = FREESWITCH_LINE + ',"id@host"'
    line = line.replace("2026-11-23 10:00:02", "")
    record = read_record(next(csv.reader([line])), FREESWITCH, HELSINKI)
    assert (record.answered, record.call_id) == (False, "id@host")


def test_columns_by_their_names() -> None:
    header = ["Start Time", "Who", "END", "Call"]
    columns = columns_of(header, ["begun=start time", "ended=End", "call-id=call"])
    assert columns == Columns(begun=0, ended=2, call_id=3)
    row = ["1795420800.5", "0401234567", "2026-11-23T08:00:02Z", " a "]
    record = read_record(row, columns, HELSINKI)
    begun = ns(2026, 11, 23, 8)
    assert record.spans == (Span(begun + NS // 2, begun + 2 * NS),)
    # Where nothing says whether it was answered, it counts.
    assert (record.answered, record.call_id) == (True, "a")


@pytest.mark.parametrize(
    "mapping",
    [
        [],
        ["begun=a"],
        ["ended=b"],
        ["begun=a", "ended=missing"],
        ["begun=a", "ended=twice"],
        ["begun=a", "ended=b", "caller=c"],
        ["begun"],
    ],
)
def test_what_is_no_mapping_is_refused(mapping: list[str]) -> None:
    with pytest.raises(CdrError, match="mapping"):
        columns_of(["a", "b", "twice", "twice"], mapping)


@pytest.mark.parametrize(
    ("begun", "ended", "seconds"),
    [
        ("", "2026-11-23 10:01:00", "60"),
        ("yesterday", "", "60"),
        ("1980-01-01 00:00:00", "", "60"),
        ("9999-12-31 23:59:59", "", "60"),
        ("0001-01-01 00:00:00+23:00", "", "60"),
        ("2026-11-23 10:00:00", "", ""),
        ("2026-11-23 10:00:00", "2026-11-23 09:59:59", ""),
        ("2026-11-23 10:00:00", "2026-12-23 10:00:00", ""),
        ("2026-11-23 10:00:00", "", str(MAX_SECONDS + 1)),
        ("2026-11-23 10:00:00", "", "-1"),
        ("2026-11-23 10:00:00", "", "1_0"),
        ("2026-11-23 10:00:00", "", "nan"),
        ("2026-11-23 10:00:00", "", "1e3"),
        ("2026-11-23 10:00:00", "", "9" * 30),
        ("2026-11-23 10:00:00", "", "٦٠"),
    ],
)
def test_what_is_no_time_is_refused(begun: str, ended: str, seconds: str) -> None:
    columns = Columns(begun=0, ended=1, seconds=2)
    with pytest.raises(CdrError) as refused:
        read_record([begun, ended, seconds], columns, HELSINKI)
    # What stands in the file may be personal.
    assert not begun or begun not in str(refused.value)


def test_a_time_of_the_hour_that_comes_twice_is_two() -> None:
    columns = Columns(begun=0, seconds=1)
    record = read_record(["2026-10-25 03:30:00", "60"], columns, HELSINKI)
    assert [span.begun_utc_ns for span in record.spans] == [
        ns(2026, 10, 25, 0, 30), ns(2026, 10, 25, 1, 30),
    ]  # fmt: skip
    told = Columns(begun=0, ended=1)
    row = ["2026-10-25 03:59:30", "2026-10-25 04:00:30"]
    assert len(read_record(row, told, HELSINKI).spans) == 2


@pytest.mark.parametrize(
    ("answer", "answered"),
    [("yes", True), ("2026-11-23 10:00:00", True), ("", False), ("no", False)],
)
def test_whether_it_was_answered(answer: str, answered: bool) -> None:
    columns = Columns(begun=0, seconds=1, answered=2)
    record = read_record(["2026-11-23 10:00:00", "60", answer], columns, HELSINKI)
    assert record.answered is answered


def test_reading_goes_on_behind_what_is_no_row() -> None:
    # A quote that is never closed takes in all that follows, up to a limit.
    endless = ['"' + "x" * 1000 + "\n", *["x" * 1000 + "\n"] * (MAX_LINE // 1000)]
    told = list(rows([*endless, "a,b\n"]))
    assert isinstance(told[0], CdrError)
    assert told[-1] == ["a", "b"]
    assert list(rows(["a;b\n", "\n"], ";")) == [["a", "b"], []]
    assert list(rows(["x" * (MAX_LINE + 5) + "\n", "a,b\n"]))[-1] == ["a", "b"]


@given(st.text(max_size=300))
def test_any_text_is_rows_or_refused(text: str) -> None:
    for row in rows(io.StringIO(text, newline="")):
        if isinstance(row, CdrError):
            continue
        for columns in (ASTERISK, FREESWITCH, Columns(begun=0, ended=1, status=2)):
            try:
                record = read_record(row, columns, HELSINKI)
            except CdrError:
                continue
            assert record.spans


_CELL = st.one_of(
    st.text(max_size=12),
    st.datetimes().map(str),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["ANSWERED", "NO ANSWER", "2026-03-29 03:30:00", "٣"]),
)


@given(st.lists(_CELL, max_size=20), st.permutations(range(7)))
def test_any_row_is_a_record_or_refused(row: list[str], order: list[int]) -> None:
    names = [field.replace("-", "_") for field in FIELDS]
    columns = Columns(**dict(zip(names, order, strict=True)))
    try:
        record = read_record(row, columns, HELSINKI)
    except CdrError:
        return
    for span in record.spans:
        assert 0 <= span.ended_utc_ns - span.begun_utc_ns <= MAX_SECONDS * NS
