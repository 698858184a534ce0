"""Compares another system's call detail records with the ledger.

The ledger knows a SIP Call-ID by a keyed hash, so that is how one of a record is looked
for. A record without one, or with one of a leg that the ledger does not know, is
matched by its time: a call of the ledger that ended when it did, and was no shorter.
Both lists are kept in a temporary database of SQLite, which has them on disk where they
are many: times and hashes, nothing that says who rang whom.
"""

import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from agent.formats.cdr import CdrRecord
from agent.model.call import Outcome
from agent.recording.ledger_reading import opened

MAX_NAMED: Final = 8
"Calls that are named of those that a record may be."
_NS: Final = 1_000_000_000

_TABLES: Final = (
    "PRAGMA temp_store = FILE",
    "CREATE TEMP TABLE records (line INTEGER, hash BLOB, begun INTEGER, ended INTEGER)",
    "CREATE TEMP TABLE seen AS SELECT call_id, sip_call_hash AS hash, outcome, cause,"
    " sip_status, missing_ms, answered_utc_ns AS answered, begun_utc_ns AS begun,"
    " coalesce(ended_utc_ns, 9223372036854775807) AS ended, EXISTS (SELECT 1 FROM"
    " recordings WHERE recordings.call_id = calls.call_id) AS kept FROM calls"
    " WHERE route NOT IN (SELECT value FROM json_each(?))",
    "CREATE INDEX temp.seen_hash ON seen (hash)",
    "CREATE INDEX temp.seen_ended ON seen (ended)",
    "CREATE TEMP TABLE pairs (line INTEGER, call_id TEXT, by_id INTEGER,"
    " PRIMARY KEY (line, call_id)) WITHOUT ROWID",
)
_BY_ID: Final = (
    "INSERT OR IGNORE INTO pairs SELECT line, call_id, 1 FROM records"
    " JOIN seen USING (hash) WHERE records.hash IS NOT NULL"
)
# A call that others name by its id is nobody's candidate.
_BY_TIME: Final = (
    "INSERT OR IGNORE INTO pairs SELECT line, call_id, 0 FROM records JOIN seen"
    " ON seen.ended BETWEEN records.ended - :window AND records.ended + :window"
    " WHERE seen.begun <= records.begun + :window"
    " AND line NOT IN (SELECT line FROM pairs WHERE by_id)"
    " AND call_id NOT IN (SELECT call_id FROM pairs WHERE by_id)"
)
_PAIRS_INDEX: Final = "CREATE INDEX temp.pairs_call ON pairs (call_id)"
_LINES: Final = "SELECT line, min(begun) FROM records GROUP BY line ORDER BY line"
_CALLS_OF: Final = (
    "SELECT seen.*, by_id FROM pairs JOIN seen USING (call_id) WHERE line = ?"
    " ORDER BY begun LIMIT ?"
)
_RIVALS_OF: Final = (
    "SELECT count(DISTINCT others.line), count(DISTINCT pairs.call_id) FROM pairs"
    " JOIN pairs AS others USING (call_id) WHERE pairs.line = ?"
)
_UNKNOWN_THERE: Final = (
    "SELECT * FROM seen WHERE answered IS NOT NULL AND outcome IS NOT NULL"
    " AND begun >= :first AND ended <= :last"
    " AND call_id NOT IN (SELECT call_id FROM pairs) ORDER BY begun"
)


class Finding(StrEnum):
    """What is to be told of a record, or of a call."""

    CAPTURED = "captured"
    "There is a recording of the whole of it."
    NOT_CAPTURED = "not-captured"
    "Outcome and cause say why."
    EXEMPT = "exempt"
    "It must not be recorded."
    RUNNING = "running"
    "The ledger has no outcome of it yet."
    AMBIGUOUS = "ambiguous"
    """By its time it may be any of several, which are not all recorded; or there are
    more such records than calls."""
    UNKNOWN_HERE = "unknown-here"
    "The ledger has no such call: it did not come by this host."
    UNKNOWN_THERE = "unknown-there"
    "The ledger has an answered call, and the file has none such."


class Compared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding. No number and no name."""

    finding: Finding
    line: int | None = None
    "Of the file, where its record begins."
    begun_utc_ns: int
    matched_by: str = ""
    "`call-id` or `time`."
    calls: tuple[str, ...] = ()
    "The call, or those that it may be."
    outcome: str = ""
    cause: str = ""
    sip_status: int | None = None
    missing_ms: int = 0


class CdrMatching:
    """Takes records, then tells of each; a context manager, for it has files."""

    def __init__(
        self, ledger: Path, *, hash_key: bytes, tests: tuple[str, ...] = ()
    ) -> None:
        """Read the ledger; calls of the routes `tests` are left out.

        Raises LedgerError if there is none to read, or one of another version.
        """
        self._hash = hmac.new(hash_key, digestmod="sha256")
        self._span: tuple[int, int] | None = None
        with ExitStack() as files:
            self._db = files.enter_context(opened(ledger))
            _prepare(self._db, tests)
            self._files = files.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def add(self, line: int, record: CdrRecord) -> None:
        """One record of the file that was answered."""
        digest = None
        if record.call_id:
            hashed = self._hash.copy()
            hashed.update(record.call_id.encode(errors="replace"))
            digest = hashed.digest()
        for span in record.spans:
            self._db.execute(
                "INSERT INTO records VALUES (?, ?, ?, ?)",
                (line, digest, span.begun_utc_ns, span.ended_utc_ns),
            )
            first, last = self._span or (span.begun_utc_ns, span.ended_utc_ns)
            self._span = (
                min(first, span.begun_utc_ns),
                max(last, span.ended_utc_ns),
            )

    def compare(self, window: float) -> Iterator[Compared]:
        """Every record's finding, then the calls that the file has not.

        Times agree that are no more than `window` seconds apart. Only calls within the
        span of the file's records are missed in it.
        """
        if self._span is None:
            return
        near = int(window * _NS)
        self._db.execute(_BY_ID)
        self._db.execute(_BY_TIME, {"window": near})
        self._db.execute(_PAIRS_INDEX)
        for line, begun in self._db.execute(_LINES):
            yield self._judge(int(line), int(begun))
        first, last = self._span
        span = {"first": first + near, "last": last - near}
        for call in self._db.execute(_UNKNOWN_THERE, span):
            yield _told(Finding.UNKNOWN_THERE, call["begun"], (call,))

    def _judge(self, line: int, begun: int) -> Compared:
        calls = self._db.execute(_CALLS_OF, (line, MAX_NAMED)).fetchall()
        if not calls:
            return Compared(finding=Finding.UNKNOWN_HERE, line=line, begun_utc_ns=begun)
        findings = {_finding(call) for call in calls}
        # One id may stand in several lines: they tell of one call. By their time,
        # several lines are as many calls.
        lines, choices = self._db.execute(_RIVALS_OF, (line,)).fetchone()
        if len(findings) == 1 and (calls[0]["by_id"] or lines <= choices):
            return _told(findings.pop(), begun, calls, line=line)
        return _told(Finding.AMBIGUOUS, begun, calls, line=line)


def _prepare(db: sqlite3.Connection, tests: tuple[str, ...]) -> None:
    left_out = msgspec.json.encode(tests).decode()
    for statement in _TABLES:
        db.execute(statement, (left_out,) if "?" in statement else ())
    db.row_factory = sqlite3.Row


def _finding(call: sqlite3.Row) -> Finding:
    outcome = call["outcome"]
    if outcome is None:
        return Finding.RUNNING
    if outcome == Outcome.EXEMPT:
        return Finding.EXEMPT
    whole = outcome == Outcome.RECORDED and call["kept"]
    return Finding.CAPTURED if whole else Finding.NOT_CAPTURED


def _told(
    finding: Finding,
    begun: int,
    calls: "list[sqlite3.Row] | tuple[sqlite3.Row, ...]",
    *,
    line: int | None = None,
) -> Compared:
    first = calls[0]
    by = ""
    if line is not None:
        by = "call-id" if first["by_id"] else "time"
    one = len(calls) == 1
    return Compared(
        finding=finding,
        line=line,
        begun_utc_ns=begun,
        matched_by=by,
        calls=tuple(call["call_id"] for call in calls),
        outcome=(first["outcome"] or "") if one else "",
        cause=first["cause"] if one else "",
        sip_status=first["sip_status"] if one else None,
        missing_ms=first["missing_ms"] if one else 0,
    )
