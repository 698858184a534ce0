"""The ledger's tables, and how an older file comes to have them.

Each migration leads from the version that is its place in the list to the next; those
that were ever released stay as they are.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

_CALLS: Final = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    sip_call_hash BLOB NOT NULL,
    route TEXT NOT NULL,
    direction TEXT NOT NULL,
    begun_utc_ns INTEGER NOT NULL,
    ended_utc_ns INTEGER,
    outcome TEXT,
    cause TEXT NOT NULL DEFAULT '',
    sip_status INTEGER,
    missing_ms INTEGER NOT NULL DEFAULT 0
) STRICT
"""
_RECORDINGS: Final = """
CREATE TABLE IF NOT EXISTS recordings (
    recording_id TEXT PRIMARY KEY,
    call_id TEXT NOT NULL,
    segment_group TEXT NOT NULL,
    state TEXT NOT NULL,
    started_utc_ns INTEGER NOT NULL,
    changed_utc_ns INTEGER NOT NULL
) STRICT
"""
_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS calls_begun ON calls (begun_utc_ns)",
    "CREATE INDEX IF NOT EXISTS recordings_call ON recordings (call_id)",
)

_OUTBOX: Final = """
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    line TEXT NOT NULL,
    made_utc_ns INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT
"""
_ALARMS: Final = """
CREATE TABLE alarms_told (
    event TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID
"""
_COMMANDS: Final = """
CREATE TABLE commands_seen (
    command_id TEXT PRIMARY KEY,
    expires_utc_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""


def _make_tables(db: sqlite3.Connection) -> None:
    # Files were made before versions were counted: they have these tables already.
    for statement in (_CALLS, _RECORDINGS, *_INDEXES):
        db.execute(statement)


def _add_verdict(db: sqlite3.Connection) -> None:
    columns = db.execute("SELECT name FROM pragma_table_info('recordings')")
    if ("verdict",) not in columns.fetchall():
        db.execute("ALTER TABLE recordings ADD COLUMN verdict TEXT NOT NULL DEFAULT ''")


def _add_outbox(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE calls ADD COLUMN answered_utc_ns INTEGER")
    # How many events of the call there were.
    db.execute("ALTER TABLE calls ADD COLUMN events INTEGER NOT NULL DEFAULT 0")
    for statement in (_OUTBOX, _ALARMS, _COMMANDS):
        db.execute(statement)


def _index_open(db: sqlite3.Connection) -> None:
    # They are looked at every few seconds, among all calls of five weeks.
    db.execute(
        "CREATE INDEX IF NOT EXISTS calls_open ON calls (begun_utc_ns)"
        " WHERE outcome IS NULL"
    )


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (
    _make_tables,
    _add_verdict,
    _add_outbox,
    _index_open,
)
VERSION: Final = len(MIGRATIONS)
"What `PRAGMA user_version` says of a file of today."
