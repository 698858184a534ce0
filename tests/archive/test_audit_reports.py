from datetime import UTC, datetime
from typing import Any

from agent.archive.audit_reports import (
    Consultation,
    Disclosure,
    disclosures,
    touched,
    when_and_why,
)
from agent.formats.audit import Act, Row, make_row
from tests.archive.logs import DAY, ID, NOON
from tests.archive.shelves import id_of


def row(number: int, who: str, act: Act, **fields: Any) -> Row:
    return make_row(number, NOON + (number - 1) * DAY, who, act, **fields)


ROWS = [
    row(1, "p-17", Act.FIND, purpose="quality"),
    row(2, "p-17", Act.RELEASE, recording_id=ID, purpose="quality"),
    row(3, "p-18", Act.DENIED, recording_id=ID, purpose="training", result="role"),
    row(4, "p-17", Act.RELEASE, recording_id=id_of(1), purpose="disclosure"),
    row(
        5, "p-17", Act.EXPORT, recording_id=ID, purpose="disclosure",
        reference="VRK/1-2026", detail={"recipient": "court", "basis": "621-1999-11"},
    ),
    row(6, "p-17", Act.EXPORT, recording_id=ID, result="refused"),
]  # fmt: skip


def test_when_and_why_and_not_by_whom() -> None:
    report = when_and_why(ROWS, ID)
    assert report[0] == Consultation(
        "2026-11-30T12:00:00.000Z", "release", "quality", "ok"
    )
    assert [one.act for one in report] == ["release", "denied", "export", "export"]
    assert "p-17" not in repr(report)
    assert "VRK" not in repr(report)


def test_what_a_person_touched() -> None:
    report = touched(ROWS, "p-17")
    assert list(report.recordings) == [ID, id_of(1)]
    assert len(report.recordings[ID]) == 3
    assert report.acts == {"find": 1, "release": 2, "export": 1, "export refused": 1}
    assert (report.first[:10], report.last[:10]) == ("2026-11-29", "2026-12-04")
    window = touched(
        ROWS,
        "p-17",
        since=datetime(2026, 12, 2, 12, tzinfo=UTC),
        until=datetime(2026, 12, 3, 12, tzinfo=UTC),
    )
    assert list(window.recordings) == [id_of(1)]
    assert touched(ROWS, "p-19").first == ""


def test_what_was_given_out() -> None:
    assert [one.id for one in disclosures(ROWS)] == [id_of(1), ID]
    assert disclosures(ROWS)[1] == Disclosure(
        "2026-12-03T12:00:00.000Z", "p-17", ID, "disclosure", "VRK/1-2026",
        {"recipient": "court", "basis": "621-1999-11"},
    )  # fmt: skip
