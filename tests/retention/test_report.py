from datetime import date

from agent.retention.report import Left, SweepReport

DAY = date(2026, 11, 23)


def test_a_report_is_plain_words() -> None:
    report = SweepReport(
        erased=2, kept=1, marked=[DAY], complete=[DAY],
        left=[Left(DAY, "second", "away")], late=[DAY], next_ns=0,
    )  # fmt: skip
    assert report.to_words() == {
        "erased": 2, "kept": 1, "marked": ["2026-11-23"], "complete": ["2026-11-23"],
        "incomplete": [{"day": "2026-11-23", "place": "second", "reason": "away"}],
        "late": ["2026-11-23"], "strange_objects": 0,
        "next": "1970-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert SweepReport().to_words()["next"] is None
