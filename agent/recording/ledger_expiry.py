"""Rows of the ledger that are old enough to go: a few at a time, calls before all."""

import sqlite3
from typing import Final

RETENTION_NS: Final = 35 * 24 * 3600 * 1_000_000_000
"How long a closed row is kept."
EXPIRY_INTERVAL: Final = 16
"With every so many new rows old ones go …"
EXPIRED_AT_ONCE: Final = 64
"… at most this many: no sweep of a day's rows ever holds up a call."

_NEWEST: Final = "SELECT max(begun_utc_ns) FROM calls WHERE begun_utc_ns <= ?"
_EXPIRED_CALLS: Final = (
    "SELECT call_id FROM calls WHERE outcome IS NOT NULL AND begun_utc_ns < ?"
    " ORDER BY begun_utc_ns LIMIT ?"
)
_FORGET_RECORDINGS: Final = (
    f"DELETE FROM recordings WHERE call_id IN ({_EXPIRED_CALLS})"  # noqa: S608 - ours
)
_FORGET_CALLS: Final = f"DELETE FROM calls WHERE call_id IN ({_EXPIRED_CALLS})"  # noqa: S608


def newest(db: sqlite3.Connection, now_utc_ns: int) -> int:
    """When the last call began; now at the latest.

    A clock that is years ahead at a start must not take all that is known along.
    """
    [(begun,)] = db.execute(_NEWEST, (now_utc_ns,)).fetchall()
    return now_utc_ns if begun is None else int(begun)


def expire(db: sqlite3.Connection, before_utc_ns: int, limit: int = -1) -> None:
    """Forget closed calls that began before a moment, at most `limit`; -1: all."""
    db.execute(_FORGET_RECORDINGS, (before_utc_ns, limit))
    db.execute(_FORGET_CALLS, (before_utc_ns, limit))
