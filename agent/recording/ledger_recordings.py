"""How far recordings have come, in the ledger's file, and the events that say so.

Each function is a part of one transaction, and returns the events of what it changed.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from agent.model.events import (
    CallEvent,
    RecordingClosed,
    RecordingDropped,
    RecordingPurged,
    RecordingSealed,
    RecordingStored,
)
from agent.model.recording import RecordingState

_STATES: Final = list(RecordingState)
_ADVANCE: Final = (
    "UPDATE recordings SET state = ?, changed_utc_ns = ?,"
    " verdict = iif(?, ?, verdict)"
    " WHERE state IN (SELECT value FROM json_each(?))"
    " AND recording_id IN (SELECT value FROM json_each(?))"
    " RETURNING call_id, recording_id, verdict"
)
_DROP: Final = (
    "DELETE FROM recordings WHERE recording_id = ? AND state = ? RETURNING call_id"
)


def begin(
    db: sqlite3.Connection,
    *,
    call_id: str,
    recording_id: str,
    group: str,
    started_utc_ns: int,
    now_utc_ns: int,
) -> None:
    """A segment of a call is being recorded."""
    state = RecordingState.OPEN
    db.execute(
        "INSERT INTO recordings VALUES (?, ?, ?, ?, ?, ?, '')",
        (recording_id, call_id, group, state, started_utc_ns, now_utc_ns),
    )


def advance(
    db: sqlite3.Connection,
    recording_ids: Iterable[str],
    state: RecordingState,
    verdict: str,
    *,
    salvaged: bool,
    now_utc_ns: int,
) -> list[CallEvent]:
    """Recordings have come so far, those that were not there yet.

    An empty `verdict` leaves what is known of their quality.
    """
    names, before = _json(recording_ids), _json(_STATES[: _STATES.index(state)])
    advanced = db.execute(
        _ADVANCE, (state, now_utc_ns, verdict != "", verdict, before, names)
    ).fetchall()
    return [
        _reached(state, call_id, recording_id, known, salvaged=salvaged)
        for call_id, recording_id, known in advanced
    ]


def drop(db: sqlite3.Connection, recording_id: str) -> list[CallEvent]:
    """Forget one that is only open: there is nothing of it."""
    gone = db.execute(_DROP, (recording_id, RecordingState.OPEN)).fetchall()
    return [
        RecordingDropped(call_id=call_id, recording_id=recording_id)
        for (call_id,) in gone
    ]


def call_of(db: sqlite3.Connection, recording_id: str) -> str:
    """The call a recording belongs to; empty if it is not known."""
    row = db.execute(
        "SELECT call_id FROM recordings WHERE recording_id = ?", (recording_id,)
    ).fetchone()
    return str(row[0]) if row is not None else ""


def _reached(
    state: RecordingState,
    call_id: str,
    recording_id: str,
    verdict: str,
    *,
    salvaged: bool,
) -> CallEvent:
    """The event of a recording that has come so far."""
    match state:
        case RecordingState.CLOSED:
            return RecordingClosed(call_id=call_id, recording_id=recording_id)
        case RecordingState.SEALED:
            return RecordingSealed(
                call_id=call_id,
                recording_id=recording_id,
                verdict=verdict,
                salvaged=salvaged,
            )
        case RecordingState.STORED:
            return RecordingStored(call_id=call_id, recording_id=recording_id)
        case RecordingState.PURGED:
            return RecordingPurged(call_id=call_id, recording_id=recording_id)
        case RecordingState.OPEN:
            raise ValueError("a recording becomes open by `begin` alone")


def _json(values: Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()
