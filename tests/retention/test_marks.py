import contextlib
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.formats.canonical import canonical
from agent.retention.marks import (
    Mark,
    MarkError,
    day_mark_key,
    marked_record,
    record_mark_key,
)

ONE = "00000000-0000-4000-8000-000000000001"
TWO = "00000000-0000-4000-8000-000000000002"
DAY = date(2026, 11, 23)
NOW_NS = 1_795_000_000_123_000_000
MARK = Mark.of(DAY, [TWO, ONE, ONE], NOW_NS, "P1Y")


def test_a_mark_says_by_which_request_a_record_goes() -> None:
    mark = Mark.of(DAY, [ONE], NOW_NS, "early", request=TWO)
    assert Mark.parse(mark.to_bytes()) == mark
    assert (mark.request, mark.approved_ns) == (TWO, NOW_NS)
    later = mark.by(ONE, NOW_NS + 5_000_000)
    assert (later.request, later.approved_ns) == (ONE, NOW_NS + 5_000_000)
    assert MARK.approved_ns == 0
    for wrong in ({"request": ""}, {"approved": ""}, {"request": "1"}):
        with pytest.raises(MarkError):
            Mark.parse(msgspec.structs.replace(mark, **wrong).to_bytes())


def test_a_mark_is_read_as_it_was_written() -> None:
    assert Mark.parse(MARK.to_bytes()) == MARK
    assert (MARK.ids, MARK.date, MARK.marked_ns) == ((ONE, TWO), DAY, NOW_NS)
    assert (MARK.key, MARK.early) == ("erasures/2026-11-23.json", False)
    assert MARK.complete_ns == 0


def test_that_of_a_record_that_goes_early_has_its_name() -> None:
    mark = Mark.of(DAY, [ONE], NOW_NS, "early", reason="private-call", generation=2)
    assert mark.early
    assert mark.key == record_mark_key(ONE, DAY) == f"erasures/{ONE}.2026-11-23.json"
    assert Mark.parse(mark.to_bytes()) == mark
    with pytest.raises(MarkError):
        _ = Mark.of(DAY, [ONE, TWO], NOW_NS, "early").early_id


def test_it_says_under_which_other_days_a_record_is() -> None:
    others = [DAY + timedelta(1), DAY + timedelta(3)]
    mark = Mark.of(DAY, [ONE], NOW_NS, "early", also=others)
    assert Mark.parse(mark.to_bytes()).others == others
    assert mark.alone().others == []


def test_it_says_when_its_day_had_a_newer_key() -> None:
    mark = Mark.of(DAY, [ONE], NOW_NS, "early", generation=1)
    assert mark.replaced_ns == 0
    replaced = mark.with_newer_key(NOW_NS + 10**9)
    assert Mark.parse(replaced.to_bytes()) == replaced
    assert replaced.replaced_ns == NOW_NS + 10**9


def test_it_says_how_far_the_erasure_has_come() -> None:
    told = MARK.tell([ONE])
    assert (told.ids, told.told) == ((TWO,), (ONE,))
    done = told.tell([TWO]).completed(NOW_NS + 10**9)
    assert (done.ids, done.told, done.complete_ns) == ((), (ONE, TWO), NOW_NS + 10**9)
    assert Mark.parse(done.to_bytes()) == done
    again = done.renewed([], NOW_NS + 2 * 10**9)
    assert (again.complete, again.marked_ns) == ("", NOW_NS + 2 * 10**9)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"day": "2026-11-31"},
        {"day": "20261123"},
        {"marked": "yesterday"},
        {"complete": "yesterday"},
        {"replaced": "yesterday"},
        {"also": ["20261124"]},
        {"also": ["tomorrow"]},
        {"policy": "a year"},
        {"reason": "an officer's name"},
        {"generation": -1},
        {"ids": ["../x"]},
        {"ids": [ONE, ONE]},
        {"told": [ONE]},
        {"name": "x"},
    ],
)
def test_nothing_else_is_a_mark(change: dict[str, object]) -> None:
    fields = {name: getattr(MARK, name) for name in MARK.__struct_fields__} | change
    with pytest.raises(MarkError):
        Mark.parse(canonical(fields))


def test_a_reason_is_a_word() -> None:
    with pytest.raises(MarkError):
        Mark.of(DAY, [ONE], NOW_NS, "early", reason="a call of 0401234567")


def test_names_tell_days_from_records() -> None:
    assert marked_record(record_mark_key(ONE, DAY)) == ONE
    assert marked_record(day_mark_key(DAY)) == ""
    for name in ("x.json", "20261123.json", f"{ONE}.json", f"{ONE}.20261123.json",
                 "x.2026-11-23.json", f"{ONE}.2026-11-23", "x"):  # fmt: skip
        with pytest.raises(MarkError):
            marked_record(f"erasures/{name}")


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda day, marked, complete: canonical(
                {name: getattr(MARK, name) for name in MARK.__struct_fields__}
                | {"day": day, "marked": marked, "complete": complete}
            ),
            *[st.text(max_size=30) | st.datetimes().map(str)] * 3,
        ),
    )
)
def test_whatever_lies_there_is_a_mark_or_an_error(data: bytes) -> None:
    try:
        mark = Mark.parse(data)
    except MarkError:
        return
    assert mark.to_bytes() == data


@given(st.integers(0, len(MARK.to_bytes()) * 8 - 1))
def test_a_flipped_bit_never_crashes_the_reader(bit: int) -> None:
    data = bytearray(MARK.to_bytes())
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(MarkError):
        assert Mark.parse(bytes(data)) != MARK
