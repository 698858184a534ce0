"""Rows of the ledger as they are read: by the daemon, or beside it."""

import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from agent.model.call import Outcome
from agent.recording.ledger_query import ALL, Wanted
from agent.recording.ledger_reading import opened

_COLUMNS: Final = (
    "call_id",
    "route",
    "direction",
    "begun_utc_ns",
    "ended_utc_ns",
    "outcome",
    "cause",
    "sip_status",
    "missing_ms",
    "answered_utc_ns",
)
CALLS: Final = (
    "SELECT call_id, route, direction, begun_utc_ns, ended_utc_ns, outcome, cause,"
    " sip_status, missing_ms, answered_utc_ns FROM calls "
)
RECORDINGS: Final = (
    "SELECT recording_id, segment_group, state, started_utc_ns, changed_utc_ns,"
    " verdict FROM recordings "
)
_RECORDINGS_OF: Final = RECORDINGS + "WHERE call_id = ? ORDER BY started_utc_ns"
_NEWEST_CALLS: Final = CALLS + "WHERE {} ORDER BY begun_utc_ns DESC LIMIT ?"
_OUTCOMES: Final = (
    "SELECT outcome, count(*) FROM calls WHERE outcome IS NOT NULL"
    " AND begun_utc_ns >= ? GROUP BY outcome"
)


class RecordingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One segment, and how far it has come."""

    recording_id: str
    group: str
    state: str
    started_utc_ns: int
    changed_utc_ns: int
    verdict: str
    "On its quality, one of agent.model.recording.Verdict; empty until it is sealed."


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    call_id: str
    route: str
    direction: str
    begun_utc_ns: int
    ended_utc_ns: int | None
    outcome: str | None
    "One of agent.model.call.Outcome; None while the call runs."
    cause: str
    sip_status: int | None
    missing_ms: int
    answered_utc_ns: int | None
    "When an officer first talked with somebody; None if none has."
    recordings: list[RecordingRow]


def rows_of(db: sqlite3.Connection, calls: sqlite3.Cursor) -> list[LedgerRow]:
    """Calls as CALLS selects them, with their recordings."""
    return [_row(db, call) for call in calls.fetchall()]


def _row(db: sqlite3.Connection, call: tuple[object, ...]) -> LedgerRow:
    values = dict(zip(_COLUMNS, call, strict=True))
    values["recordings"] = recordings_of(db.execute(_RECORDINGS_OF, (call[0],)))
    return msgspec.convert(values, LedgerRow)


def recordings_of(rows: sqlite3.Cursor) -> list[RecordingRow]:
    """Recordings as RECORDINGS selects them."""
    fields = RecordingRow.__struct_fields__
    return [RecordingRow(**dict(zip(fields, row, strict=True))) for row in rows]


def read_rows(path: Path, *, limit: int = 50, wanted: Wanted = ALL) -> list[LedgerRow]:
    """The newest calls, read beside a running daemon or without one.

    Raises LedgerError if there is no ledger to read, or one of another version.
    """
    where, values = wanted.where()
    with opened(path) as db:
        return rows_of(db, db.execute(_NEWEST_CALLS.format(where), (*values, limit)))


def count_outcomes(path: Path, since_utc_ns: int) -> dict[Outcome, int]:
    """How many calls that began since then, and are over, had which outcome.

    Raises LedgerError as `read_rows` does.
    """
    with opened(path) as db:
        counted = db.execute(_OUTCOMES, (since_utc_ns,)).fetchall()
    return {Outcome(outcome): number for outcome, number in counted}
