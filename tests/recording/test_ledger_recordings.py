import sqlite3

import pytest

from agent.model.events import (
    CallEvent,
    RecordingClosed,
    RecordingDropped,
    RecordingPurged,
    RecordingSealed,
    RecordingStored,
)
from agent.model.recording import RecordingState
from agent.recording import ledger_recordings as recordings
from agent.recording.ledger_schema import MIGRATIONS


@pytest.fixture
def db() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    for migration in MIGRATIONS:
        migration(db)
    begin(db, "r")
    return db


def begin(db: sqlite3.Connection, recording_id: str) -> None:
    recordings.begin(
        db,
        call_id="c",
        recording_id=recording_id,
        group="g",
        started_utc_ns=1,
        now_utc_ns=2,
    )


def advance(
    db: sqlite3.Connection, state: RecordingState, *ids: str, verdict: str = ""
) -> list[CallEvent]:
    return recordings.advance(
        db, ids or ("r",), state, verdict, salvaged=False, now_utc_ns=3
    )


def test_each_step_is_told_once_and_none_goes_back(db: sqlite3.Connection) -> None:
    states, named = RecordingState, {"call_id": "c", "recording_id": "r"}
    assert advance(db, states.CLOSED) == [RecordingClosed(**named)]
    assert advance(db, states.CLOSED) == []
    sealed = RecordingSealed(**named, verdict="clean", salvaged=False)
    assert advance(db, states.SEALED, verdict="clean") == [sealed]
    assert advance(db, states.CLOSED) == []
    assert advance(db, states.STORED) == [RecordingStored(**named)]
    assert advance(db, states.PURGED) == [RecordingPurged(**named)]
    verdict = db.execute("SELECT verdict FROM recordings").fetchone()
    assert verdict == ("clean",), "who tells of none changes none"


def test_many_go_by_one_statement(db: sqlite3.Connection) -> None:
    begin(db, "s")
    told = advance(db, RecordingState.STORED, "r", "s", "unknown")
    assert sorted(event.recording_id for event in told) == ["r", "s"]  # type: ignore[union-attr]


def test_only_one_that_is_open_is_forgotten(db: sqlite3.Connection) -> None:
    begin(db, "s")
    advance(db, RecordingState.CLOSED, "s")
    assert recordings.drop(db, "r") == [RecordingDropped(call_id="c", recording_id="r")]
    assert recordings.drop(db, "s") == []
    assert recordings.drop(db, "unknown") == []
    assert recordings.call_of(db, "s") == "c"
    assert recordings.call_of(db, "r") == ""


def test_none_becomes_open_again(db: sqlite3.Connection) -> None:
    assert advance(db, RecordingState.OPEN) == []
