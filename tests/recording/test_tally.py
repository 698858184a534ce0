import sqlite3
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.formats.layout import day_of
from agent.model.call import CallDirection, Outcome
from agent.model.recording import RecordingState
from agent.recording.ledger import CallIntent, Ledger, LedgerError
from agent.recording.tally import read_open_answered, read_tally, span_of

NOW = 1_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(path, hash_key=b"h" * 32, reserve_bytes=1 << 16)
    await ledger.start()
    yield ledger
    await ledger.close()


async def call(
    ledger: Ledger,
    name: str,
    outcome: Outcome | None,
    *,
    begun: int = NOW,
    answered: bool = False,
    missing_ms: int = 0,
) -> None:
    intent = CallIntent(
        call_id=name,
        sip_call_id=name,
        route="service",
        direction=CallDirection.INBOUND,
        begun_utc_ns=begun,
    )
    await ledger.begin(intent)
    if answered:
        await ledger.answered(name, begun + 1)
    if outcome is not None:
        await ledger.close_call(
            name, outcome, ended_utc_ns=begun + 2, missing_ms=missing_ms
        )


async def recording(
    ledger: Ledger, call: str, name: str, state: RecordingState
) -> None:
    await ledger.segment(call, name, call, NOW)
    await ledger.advance(name, state)


async def test_what_became_of_a_days_calls(ledger: Ledger, path: Path) -> None:
    await call(ledger, "whole", Outcome.RECORDED, answered=True)
    await call(ledger, "gap", Outcome.PARTIAL, answered=True, missing_ms=700)
    await call(ledger, "let", Outcome.UNRECORDED, answered=True, missing_ms=5)
    await call(ledger, "112", Outcome.EXEMPT, answered=True)
    await call(ledger, "left", Outcome.ABANDONED)
    await call(ledger, "talks", None, answered=True)
    await call(ledger, "before", Outcome.FAILED, begun=NOW - 1)
    await call(ledger, "after", Outcome.FAILED, begun=NOW + 10)
    await recording(ledger, "whole", "a", RecordingState.PURGED)
    await recording(ledger, "gap", "b", RecordingState.STORED)
    await recording(ledger, "gap", "c", RecordingState.SEALED)
    await recording(ledger, "before", "d", RecordingState.STORED)
    tally = read_tally(path, NOW, NOW + 10)
    assert tally.outcomes == {
        "recorded": 1, "partial": 1, "unrecorded": 1, "exempt": 1, "abandoned": 1,
    }  # fmt: skip
    assert (tally.begun, tally.running) == (6, 1)
    assert (tally.answered, tally.exempt, tally.captured) == (4, 1, 1)
    assert tally.capture_rate == 1 / 3
    assert tally.missing_ms == 705
    assert (tally.stored, tally.waiting) == (2, 1)
    # Test calls are nobody's.
    assert read_tally(path, NOW, NOW + 10, tests={"service"}).begun == 0
    assert read_tally(path, NOW, NOW + 10, tests={"other"}) == tally


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 30), 24)],
)
def test_a_day_is_the_calendars(day: date, hours: int) -> None:
    first, after = span_of(day)
    assert after - first == hours * 3600 * 10**9
    assert (day_of(first), day_of(first - 1)) == (day, day - timedelta(days=1))
    assert (day_of(after - 1), day_of(after)) == (day, day + timedelta(days=1))


async def test_answered_calls_without_an_outcome(ledger: Ledger, path: Path) -> None:
    await call(ledger, "later", None, begun=NOW + 1, answered=True)
    await call(ledger, "first", None, answered=True)
    await call(ledger, "rings", None)
    await call(ledger, "over", Outcome.RECORDED, answered=True)
    assert read_open_answered(path) == ["first", "later"]
    assert read_open_answered(path, tests={"service"}) == []


async def test_of_no_calls_there_is_no_rate(ledger: Ledger, path: Path) -> None:
    await call(ledger, "112", Outcome.EXEMPT, answered=True)
    assert read_tally(path, NOW, NOW + 10).capture_rate is None
    nothing = read_tally(path, 0, NOW)
    assert (nothing.begun, nothing.capture_rate) == (0, None)


async def test_what_cannot_be_counted_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        read_tally(path, 0, 1)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="version 99"):
        read_tally(path, 0, 1)
