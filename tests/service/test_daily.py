import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.common.tasks import TaskSet
from agent.formats.layout import HELSINKI
from agent.model.call import CallDirection, Outcome
from agent.model.events import DailySummary
from agent.recording.ledger import CallIntent, Ledger, LedgerError
from agent.service import daily
from agent.service.daily import MAX_DAYS, TOLD, Daily, days_due

MONDAY = date(2026, 11, 30)


def ns(day: date, hour: int = 12) -> int:
    at = datetime(day.year, day.month, day.day, hour, tzinfo=HELSINKI)
    return int(at.timestamp()) * 10**9


class Desk:
    """A spool, a clock that is set, and what was told."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.now = ns(MONDAY)
        self.told: list[DailySummary] = []
        self.failures: list[Exception] = []
        self.daily = Daily(
            spool, self.tell, utc_ns=lambda: self.now, tests=lambda: ["probe"]
        )

    async def tell(self, summary: DailySummary) -> None:
        if self.failures:
            raise self.failures.pop()
        self.told.append(summary)

    @property
    def days(self) -> list[str]:
        return [summary.day for summary in self.told]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h" * 32)
    await ledger.start()
    yield ledger
    await ledger.close()


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Desk:
    return Desk(tmp_path)


async def call(
    ledger: Ledger, name: str, at: int, outcome: Outcome, route: str = "in"
) -> None:
    await ledger.begin(
        CallIntent(
            call_id=name,
            sip_call_id=name,
            route=route,
            direction=CallDirection.INBOUND,
            begun_utc_ns=at,
        )
    )
    await ledger.answered(name, at + 1)
    await ledger.close_call(name, outcome, ended_utc_ns=at + 2, missing_ms=40)


@pytest.mark.parametrize(
    ("told", "due"),
    [
        (None, []),
        (MONDAY, []),
        (MONDAY - timedelta(days=1), []),
        (MONDAY - timedelta(days=2), [MONDAY - timedelta(days=1)]),
        (MONDAY + timedelta(days=9), []),
    ],
)
def test_which_days_are_due(told: date | None, due: list[date]) -> None:
    assert days_due(told, MONDAY) == due


def test_after_a_long_absence_the_last_days_are_due() -> None:
    due = days_due(date(2020, 1, 1), MONDAY)
    assert len(due) == MAX_DAYS
    assert due[-1] == MONDAY - timedelta(days=1)


async def test_a_day_is_told_when_it_is_over(desk: Desk, ledger: Ledger) -> None:
    await desk.daily.tell_due()  # the first start
    await call(ledger, "a", ns(MONDAY, 0), Outcome.RECORDED)
    await call(ledger, "b", ns(MONDAY, 23), Outcome.PARTIAL)
    await call(ledger, "probe", ns(MONDAY, 23), Outcome.FAILED, route="probe")
    await call(ledger, "c", ns(MONDAY + timedelta(days=1), 0), Outcome.FAILED)
    desk.now = ns(MONDAY, 23)
    await desk.daily.tell_due()
    assert desk.told == []
    desk.now = ns(MONDAY + timedelta(days=1), 0)
    with capture_logs() as lines:
        await desk.daily.tell_due()
        await desk.daily.tell_due()
    [summary] = desk.told
    assert summary == DailySummary(
        day="2026-11-30",
        outcomes={"recorded": 1, "partial": 1},
        answered=2,
        exempt=0,
        capture_rate=0.5,
        missing_ms=80,
        without_outcome=0,
        stored=0,
        waiting=0,
    )
    [line] = lines
    assert (line["event"], line["begun"], line["capture_rate"]) == (
        "daily_summary", 2, 0.5,
    )  # fmt: skip
    assert sorted(line["outcomes"]) == ["partial:1", "recorded:1"]


async def test_days_that_ended_meanwhile_are_told_later(
    desk: Desk, ledger: Ledger
) -> None:
    await desk.daily.tell_due()
    desk.now = ns(MONDAY + timedelta(days=3))
    await Desk(desk.spool).daily.tell_due()
    after = Desk(desk.spool)
    after.now = desk.now
    await after.daily.tell_due()
    assert after.days == ["2026-11-30", "2026-12-01", "2026-12-02"]


async def test_what_could_not_be_told_stays_due(desk: Desk, ledger: Ledger) -> None:
    await desk.daily.tell_due()
    desk.now = ns(MONDAY + timedelta(days=2))
    desk.failures = [LedgerError("full.")]
    with pytest.raises(LedgerError):
        await desk.daily.tell_due()
    await desk.daily.tell_due()
    assert desk.days == ["2026-11-30", "2026-12-01"]


async def test_a_clock_that_was_ahead_silences_nothing(
    desk: Desk, ledger: Ledger
) -> None:
    desk.now = ns(date(2040, 1, 1))
    await desk.daily.tell_due()
    desk.now = ns(MONDAY)
    await desk.daily.tell_due()
    desk.now = ns(MONDAY + timedelta(days=1))
    await desk.daily.tell_due()
    assert desk.days == ["2026-11-30"]


async def test_a_file_that_says_no_day_begins_anew(desk: Desk, ledger: Ledger) -> None:
    (desk.spool / TOLD).write_text("yesterday")
    await desk.daily.tell_due()
    assert (desk.spool / TOLD).read_text() == "2026-11-29"


async def test_it_goes_on_when_it_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "EVERY", 0.0)
    await desk.daily.tell_due()
    desk.now = ns(MONDAY + timedelta(days=1))
    desk.failures = [LedgerError("full."), OSError(28, "No space left")]
    failed: list[BaseException] = []
    tasks = TaskSet(lambda _, error: failed.append(error))
    with capture_logs() as lines:
        tasks.spawn(desk.daily.run(), name="daily")
        while not desk.told and not failed:
            await asyncio.sleep(0)
        await tasks.close()
    assert failed == []
    assert [line["event"] for line in lines].count("daily_summary_put_off") == 2
