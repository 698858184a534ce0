from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.archive.access_log import Access, Kind
from agent.archive.reconciling import (
    MAX_UNEXPLAINED,
    WINDOW,
    Place,
    Reconciled,
    Rows,
    Why,
    reconcile,
)
from agent.formats.audit import Act, make_row
from tests.archive.logs import ID, NOON
from tests.archive.shelves import id_of

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEY = f"keys/2026/11/23/{ID}.key.age"


def access(**changed: Any) -> Access:
    given = {
        "at": AT, "user": "gate", "bucket": "state", "key": KEY, "kind": Kind.READ,
        "status": 200,
    }  # fmt: skip
    return Access(**(given | changed))


def rows(act: Act = Act.RELEASE, **fields: Any) -> Rows:
    return Rows([make_row(1, NOON, "p-17", act, **({"recording_id": ID} | fields))])


def reconciled(one: Access, known: Rows, prefix: str = "") -> Reconciled:
    return reconcile([one], known, Place("state", prefix, {"gate"}))


@pytest.mark.parametrize("off", [-WINDOW, timedelta(0), WINDOW])
def test_a_read_with_its_row_is_explained(off: timedelta) -> None:
    result = reconciled(access(at=AT + off), rows())
    assert (result.reads, result.alarm) == (1, False)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"at": AT + WINDOW + timedelta(seconds=1)}, Why.NO_ROW),
        ({"at": AT - WINDOW - timedelta(seconds=1)}, Why.NO_ROW),
        ({"key": f"keys/2026/11/23/{id_of(7)}.key.age"}, Why.NO_ROW),
        ({"user": "host-a"}, Why.NOT_THE_GATE),
        ({"user": ""}, Why.NOT_THE_GATE),
        ({"kind": Kind.COPY, "key": "elsewhere"}, Why.COPY),
        ({"key": "keys/strange"}, Why.STRANGE_NAME),
    ],
)
def test_a_read_around_the_gate_is_an_alarm(changed: dict[str, Any], why: Why) -> None:
    result = reconciled(access(**changed), rows())
    assert [one.why for one in result.unexplained] == [why]
    assert result.alarm


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 403},
        {"bucket": "other"},
        {"kind": Kind.OTHER},
        {"key": f"index/2026-11/unindexed/{ID}"},
        {"key": f"other/{KEY}"},
    ],
)
def test_what_gives_no_envelope_away_needs_no_row(changed: dict[str, Any]) -> None:
    result = reconciled(access(user="anyone", **changed), Rows([]))
    assert (result.reads, result.alarm) == (0, False)


def test_a_row_of_another_act_explains_no_read() -> None:
    assert reconciled(access(), rows(Act.FIND)).alarm


def test_a_row_about_a_day_explains_its_envelopes() -> None:
    day = rows(Act.SWEEP, recording_id="", detail={"day": "2026-11-23"})
    assert not reconciled(access(), day).alarm
    other = rows(Act.SWEEP, recording_id="", detail={"day": "2026-11-24"})
    assert reconciled(access(), other).alarm


@pytest.mark.parametrize("prefix", ["a/b", "/a/b/"])
def test_a_storage_may_be_a_part_of_a_bucket(prefix: str) -> None:
    assert reconciled(access(key=f"a/b/{KEY}"), Rows([]), prefix).alarm
    assert not reconciled(access(key=KEY), Rows([]), prefix).alarm


def test_more_than_can_be_named_are_counted() -> None:
    many = [access()] * (MAX_UNEXPLAINED + 5)
    result = reconcile(many, Rows([]), Place("state", gate={"gate"}))
    assert (len(result.unexplained), result.more) == (MAX_UNEXPLAINED, 5)
