"""The ledger: one row per call, one outcome per row. No number, no name, ever.

A row stands before its call is answered, and is closed once, with the outcome.
"""

import contextlib
import hmac
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from agent.common.clock import utc_ns
from agent.common.files import write_durably
from agent.model.call import Outcome
from agent.model.recording import RecordingState
from agent.recording.database import Database, Haste, LedgerError
from agent.recording.ledger_query import ALL, Wanted
from agent.recording.ledger_schema import MIGRATIONS, VERSION

__all__ = [
    "CallIntent",
    "Ledger",
    "LedgerError",
    "LedgerRow",
    "LedgerStats",
    "RecordingRow",
    "count_outcomes",
    "load_hash_key",
    "read_rows",
]

RETENTION_NS: Final = 35 * 24 * 3600 * 1_000_000_000
"How long a closed row is kept."
EXPIRY_INTERVAL: Final = 16
"With every so many new rows old ones go …"
EXPIRED_AT_ONCE: Final = 64
"… at most this many: no sweep of a day's rows ever holds up a call."
RESERVE_BYTES: Final = 1 << 20
"A few thousand rows; none of them is lost to a full disk."
_STATES: Final = list(RecordingState)

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
)
_CALLS: Final = (
    "SELECT call_id, route, direction, begun_utc_ns, ended_utc_ns, outcome, cause,"
    " sip_status, missing_ms FROM calls "
)
_OPEN_CALLS: Final = _CALLS + "WHERE outcome IS NULL ORDER BY begun_utc_ns"
_EXPIRED_CALLS: Final = (
    "SELECT call_id FROM calls WHERE outcome IS NOT NULL AND begun_utc_ns < ?"
    " ORDER BY begun_utc_ns LIMIT ?"
)
_FORGET_RECORDINGS: Final = (
    f"DELETE FROM recordings WHERE call_id IN ({_EXPIRED_CALLS})"  # noqa: S608 - ours
)
_FORGET_CALLS: Final = f"DELETE FROM calls WHERE call_id IN ({_EXPIRED_CALLS})"  # noqa: S608
_RECORDINGS: Final = (
    "SELECT recording_id, segment_group, state, started_utc_ns, changed_utc_ns,"
    " verdict FROM recordings "
)
_RECORDINGS_OF: Final = _RECORDINGS + "WHERE call_id = ? ORDER BY started_utc_ns"
_UNFINISHED_RECORDINGS: Final = _RECORDINGS + "WHERE state != ? ORDER BY started_utc_ns"
_NEWEST_CALLS: Final = _CALLS + "WHERE {} ORDER BY begun_utc_ns DESC LIMIT ?"
_OUTCOMES: Final = (
    "SELECT outcome, count(*) FROM calls WHERE outcome IS NOT NULL"
    " AND begun_utc_ns >= ? GROUP BY outcome"
)


@dataclass(slots=True)
class LedgerStats:
    """What became durable since the start."""

    closed: Counter[Outcome] = field(default_factory=Counter)
    "Calls that were given their outcome, by it."
    degraded: int = 0
    "Calls closed as recorded that proved to be partial."


class CallIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of a call before it is answered."""

    call_id: str
    sip_call_id: str
    "Kept as a keyed hash only."
    route: str
    direction: str
    begun_utc_ns: int


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
    recordings: list[RecordingRow]


def load_hash_key(root: Path) -> bytes:
    """The key of the SIP Call-IDs' hashes: made once, kept in the spool."""
    path = root / "ledger.key"
    if not path.exists():
        write_durably(path, os.urandom(32))
    return path.read_bytes()


class Ledger:
    """The ledger of one spool. Every method returns when its change is durable."""

    def __init__(
        self, path: Path, *, hash_key: bytes, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        # Kept made ready: OpenSSL looks an algorithm up anew for each key it is given.
        self._hash = hmac.new(hash_key, digestmod="sha256")
        self._begun = 0
        self.stats = LedgerStats()
        self._database = Database(path, MIGRATIONS, reserve_bytes=reserve_bytes)

    @property
    def set_aside(self) -> Path | None:
        """Where a newer version's ledger is kept that was found in this one's place."""
        return self._database.set_aside

    async def start(self) -> None:
        """Open the file, forget what is older than 35 days. Raises LedgerError.

        A ledger of a newer version is set aside, unread and whole, and one begun anew:
        calls are recorded all the same.
        """
        await self._database.start()
        await self.expire(await self._newest(utc_ns()) - RETENTION_NS)

    async def _newest(self, now_utc_ns: int) -> int:
        """When the last call began; now at the latest.

        A clock that is years ahead at a start must not take all that is known along.
        """
        newest = "SELECT max(begun_utc_ns) FROM calls WHERE begun_utc_ns <= ?"
        [(begun,)] = await self._database.do(
            lambda db: db.execute(newest, (now_utc_ns,)).fetchall()
        )
        return now_utc_ns if begun is None else int(begun)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()

    # -- calls ------------------------------------------------------------------------

    async def begin(self, intent: CallIntent) -> None:
        """Write a call's intent. Raises LedgerError."""
        hashed = self._hash.copy()
        hashed.update(intent.sip_call_id.encode())
        digest = hashed.digest()
        expires = self._begun % EXPIRY_INTERVAL == 0
        self._begun += 1

        def begin(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO calls (call_id, sip_call_hash, route, direction,"
                " begun_utc_ns) VALUES (?, ?, ?, ?, ?)",
                (
                    intent.call_id,
                    digest,
                    intent.route,
                    intent.direction,
                    intent.begun_utc_ns,
                ),
            )
            if expires:
                _expire(db, intent.begun_utc_ns - RETENTION_NS, EXPIRED_AT_ONCE)

        await self._database.do(begin, grows=True, haste=Haste.FAIR)

    async def close_call(
        self,
        call_id: str,
        outcome: Outcome,
        *,
        ended_utc_ns: int,
        cause: str = "",
        sip_status: int | None = None,
        missing_ms: int = 0,
    ) -> None:
        """Give a call its one outcome. Raises LedgerError if it has one already.

        It ends no earlier than it began, however the host's clock was set.
        """

        def close(db: sqlite3.Connection) -> None:
            changed = db.execute(
                "UPDATE calls SET outcome = ?, cause = ?, sip_status = ?,"
                " missing_ms = missing_ms + ?,"
                " ended_utc_ns = max(?, begun_utc_ns) WHERE call_id = ?"
                " AND outcome IS NULL",
                (outcome, cause, sip_status, missing_ms, ended_utc_ns, call_id),
            )
            if changed.rowcount != 1:
                raise LedgerError(
                    f"call {call_id} is not open.", hint="Report this: it is a fault."
                )

        await self._database.do(close, haste=Haste.LATE)
        self.stats.closed[outcome] += 1

    async def note_missing(self, call_id: str, missing_ms: int) -> None:
        """So much more of a call's talk is in no journal. Raises LedgerError."""
        await self._database.do(
            lambda db: db.execute(
                "UPDATE calls SET missing_ms = missing_ms + ? WHERE call_id = ?",
                (missing_ms, call_id),
            )
        )

    async def note_partial(self, call_id: str) -> None:
        """What counted as recorded proved to be less. Raises LedgerError."""
        self.stats.degraded += await self._database.do(
            lambda db: (
                db.execute(
                    "UPDATE calls SET outcome = ? WHERE call_id = ? AND outcome = ?",
                    (Outcome.PARTIAL, call_id, Outcome.RECORDED),
                ).rowcount
            )
        )

    async def note_partial_of(self, recording_ids: Iterable[str]) -> None:
        """`note_partial` of these recordings' calls, by one statement."""
        names = msgspec.json.encode(list(recording_ids)).decode()
        self.stats.degraded += await self._database.do(
            lambda db: (
                db.execute(
                    "UPDATE calls SET outcome = ? WHERE outcome = ? AND call_id IN"
                    " (SELECT call_id FROM recordings WHERE recording_id IN"
                    " (SELECT value FROM json_each(?)))",
                    (Outcome.PARTIAL, Outcome.RECORDED, names),
                ).rowcount
            )
        )

    # -- recordings -------------------------------------------------------------------

    async def segment(
        self, call_id: str, recording_id: str, group: str, started_utc_ns: int
    ) -> None:
        """Note that a segment of a call is being recorded. Raises LedgerError."""
        await self._database.do(
            lambda db: db.execute(
                "INSERT INTO recordings VALUES (?, ?, ?, ?, ?, ?, '')",
                (
                    recording_id,
                    call_id,
                    group,
                    RecordingState.OPEN,
                    started_utc_ns,
                    utc_ns(),
                ),
            ),
            grows=True,
        )

    async def advance(
        self, recording_id: str, state: RecordingState, *, verdict: str = ""
    ) -> None:
        """Note how far a recording has come; never backwards. Raises LedgerError.

        An empty `verdict` leaves what is known of its quality.
        """
        await self._database.do(
            lambda db: db.execute(
                "UPDATE recordings SET state = ?, changed_utc_ns = ?, verdict ="
                " iif(?, ?, verdict) WHERE recording_id = ?"
                " AND state IN (SELECT value FROM json_each(?))",
                (state, utc_ns(), verdict != "", verdict, recording_id, _before(state)),
            )
        )

    async def advance_all(
        self, recording_ids: Iterable[str], state: RecordingState
    ) -> None:
        """`advance`, for many by one statement."""
        names = msgspec.json.encode(list(recording_ids)).decode()
        await self._database.do(
            lambda db: db.execute(
                "UPDATE recordings SET state = ?, changed_utc_ns = ?"
                " WHERE state IN (SELECT value FROM json_each(?))"
                " AND recording_id IN (SELECT value FROM json_each(?))",
                (state, utc_ns(), _before(state), names),
            )
        )

    async def forget_recording(self, recording_id: str) -> None:
        """Nothing of it was ever written, unless the ledger knows better."""
        await self._database.do(
            lambda db: db.execute(
                "DELETE FROM recordings WHERE recording_id = ? AND state = ?",
                (recording_id, RecordingState.OPEN),
            )
        )

    # -- questions ---------------------------------------------------------------

    async def open_calls(self) -> list[LedgerRow]:
        """Calls without an outcome, the oldest first."""
        return await self._database.do(lambda db: _rows(db, db.execute(_OPEN_CALLS)))

    async def call_of(self, recording_id: str) -> str:
        """The call a recording belongs to; empty if it is not known."""
        return await self._database.do(lambda db: _call_of(db, recording_id))

    async def open_recordings(self) -> list[RecordingRow]:
        """Recordings that are not purged yet, the oldest first."""
        return await self._database.do(
            lambda db: _recordings(
                db.execute(_UNFINISHED_RECORDINGS, (RecordingState.PURGED,))
            )
        )

    async def expire(self, before_utc_ns: int) -> None:
        """Forget closed calls that began before a moment. Raises LedgerError."""
        await self._database.do(lambda db: _expire(db, before_utc_ns, -1))


def _before(state: RecordingState) -> str:
    """The states before one, as JSON."""
    return msgspec.json.encode(_STATES[: _STATES.index(state)]).decode()


def _expire(db: sqlite3.Connection, before_utc_ns: int, limit: int) -> None:
    """Forget closed calls, at most `limit` (-1: all)."""
    db.execute(_FORGET_RECORDINGS, (before_utc_ns, limit))
    db.execute(_FORGET_CALLS, (before_utc_ns, limit))


def _call_of(db: sqlite3.Connection, recording_id: str) -> str:
    row = db.execute(
        "SELECT call_id FROM recordings WHERE recording_id = ?", (recording_id,)
    ).fetchone()
    return str(row[0]) if row is not None else ""


def _rows(db: sqlite3.Connection, calls: sqlite3.Cursor) -> list[LedgerRow]:
    return [_row(db, call) for call in calls.fetchall()]


def _row(db: sqlite3.Connection, call: tuple[object, ...]) -> LedgerRow:
    values = dict(zip(_COLUMNS, call, strict=True))
    values["recordings"] = _recordings(db.execute(_RECORDINGS_OF, (call[0],)))
    return msgspec.convert(values, LedgerRow)


def _recordings(rows: sqlite3.Cursor) -> list[RecordingRow]:
    fields = RecordingRow.__struct_fields__
    return [RecordingRow(**dict(zip(fields, row, strict=True))) for row in rows]


def read_rows(path: Path, *, limit: int = 50, wanted: Wanted = ALL) -> list[LedgerRow]:
    """The newest calls, read beside a running daemon or without one.

    Raises LedgerError if there is no ledger to read, or one of another version.
    """
    where, values = wanted.where()
    with _opened(path) as db:
        return _rows(db, db.execute(_NEWEST_CALLS.format(where), (*values, limit)))


def count_outcomes(path: Path, since_utc_ns: int) -> dict[Outcome, int]:
    """How many calls that began since then, and are over, had which outcome.

    Raises LedgerError as `read_rows` does.
    """
    with _opened(path) as db:
        counted = db.execute(_OUTCOMES, (since_utc_ns,)).fetchall()
    return {Outcome(outcome): number for outcome, number in counted}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, to be read only. Raises LedgerError."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        ) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise LedgerError(
                    f"the ledger {path} is of version {version}, not {VERSION}.",
                    hint="Read it with the version of this software that wrote it;"
                    " a daemon of this version brings an older one up to date.",
                )
            yield db
    except sqlite3.Error as error:
        raise LedgerError(
            f"the ledger {path} cannot be read: {error}.",
            hint="Check agent.spool, and that you may read it.",
        ) from error
