"""The ledger: one row per call, one outcome per row. No number, no name, ever.

A row stands before its call is answered, and is closed once, with the outcome.
"""

import hmac
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from agent.common.clock import utc_ns
from agent.common.files import write_durably
from agent.model.call import Outcome
from agent.model.events import (
    CallAnswered,
    CallCorrected,
    CallEnded,
    CallEvent,
    CallOffered,
    DailySummary,
    RecordingOpened,
)
from agent.model.recording import RecordingState
from agent.recording import ledger_expiry as expiry, ledger_recordings as recordings
from agent.recording.database import Database, Haste, LedgerError
from agent.recording.ledger_expiry import (
    EXPIRED_AT_ONCE,
    EXPIRY_INTERVAL,
    RETENTION_NS,
)
from agent.recording.ledger_rows import (
    CALLS,
    RECORDINGS,
    LedgerRow,
    RecordingRow,
    count_outcomes,
    read_rows,
    recordings_of,
    rows_of,
)
from agent.recording.ledger_schema import MIGRATIONS
from agent.recording.outbox import Outbox

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

RESERVE_BYTES: Final = 1 << 20
"A few thousand rows; none of them is lost to a full disk."

T = TypeVar("T")

_OPEN_CALLS: Final = CALLS + "WHERE outcome IS NULL ORDER BY begun_utc_ns"
_UNFINISHED_RECORDINGS: Final = RECORDINGS + "WHERE state != ? ORDER BY started_utc_ns"


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
    caller: str = ""
    "For the event alone, and no more of it than the event may show …"
    called: str = ""
    "… likewise."

    def __repr__(self) -> str:
        return f"CallIntent(call_id={self.call_id!r}, …)"


def load_hash_key(root: Path) -> bytes:
    """The key of the SIP Call-IDs' hashes: made once, kept in the spool."""
    path = root / "ledger.key"
    if not path.exists():
        write_durably(path, os.urandom(32))
    return path.read_bytes()


class Ledger:
    """The ledger of one spool. Every method returns when its change is durable."""

    def __init__(
        self,
        path: Path,
        *,
        hash_key: bytes,
        host: str = "",
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """Of what happens on `host` events are written; without a name, none are."""
        # Kept made ready: OpenSSL looks an algorithm up anew for each key it is given.
        self._hash = hmac.new(hash_key, digestmod="sha256")
        self._begun = 0
        self.stats = LedgerStats()
        # An event takes as much room as what it tells of.
        reserve_bytes *= 4 if host else 1
        self._database = Database(path, MIGRATIONS, reserve_bytes=reserve_bytes)
        self.outbox = Outbox(self._database, host) if host else None
        "Where events wait to be sent; None where none are written."

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
        now_utc_ns = utc_ns()
        newest = await self._database.do(lambda db: expiry.newest(db, now_utc_ns))
        await self.expire(newest - RETENTION_NS)

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
        offered = CallOffered(
            call_id=intent.call_id,
            route=intent.route,
            direction=intent.direction,
            caller=intent.caller,
            called=intent.called,
        )

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
            self._enter(db, offered)
            if expires:
                before_utc_ns = intent.begun_utc_ns - RETENTION_NS
                expiry.expire(db, before_utc_ns, EXPIRED_AT_ONCE)

        await self._change(begin, grows=True, haste=Haste.FAIR)

    async def answered(
        self, call_id: str, at_utc_ns: int, *, officer: str = ""
    ) -> None:
        """Note when an officer first talked with somebody. Raises LedgerError.

        `officer` is for the event, and no more of the number than that may show.
        """

        def answer(db: sqlite3.Connection) -> None:
            changed = db.execute(
                "UPDATE calls SET answered_utc_ns = max(?, begun_utc_ns)"
                " WHERE call_id = ? AND answered_utc_ns IS NULL",
                (at_utc_ns, call_id),
            )
            if changed.rowcount:
                self._enter(db, CallAnswered(call_id=call_id, officer=officer))

        await self._change(answer, haste=Haste.LATE)

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
            closed = db.execute(
                "UPDATE calls SET outcome = ?, cause = ?, sip_status = ?,"
                " missing_ms = missing_ms + ?,"
                " ended_utc_ns = max(?, begun_utc_ns) WHERE call_id = ?"
                " AND outcome IS NULL RETURNING missing_ms, ended_utc_ns",
                (outcome, cause, sip_status, missing_ms, ended_utc_ns, call_id),
            ).fetchone()
            if closed is None:
                raise LedgerError(
                    f"call {call_id} is not open.", hint="Report this: it is a fault."
                )
            ended = CallEnded(
                call_id=call_id,
                outcome=outcome,
                cause=cause,
                sip_status=sip_status,
                missing_ms=closed[0],
                ended_utc_ns=closed[1],
            )
            self._enter(db, ended)

        await self._change(close, haste=Haste.LATE)
        self.stats.closed[outcome] += 1

    async def note_missing(self, call_id: str, missing_ms: int) -> None:
        """So much more of a call's talk is in no journal. Raises LedgerError."""
        await self._correct(
            "missing_ms = missing_ms + ?", "call_id = ?", missing_ms, call_id
        )

    async def note_partial(self, call_id: str) -> None:
        """What counted as recorded proved to be less. Raises LedgerError."""
        self.stats.degraded += await self._correct(
            "outcome = ?",
            "call_id = ? AND outcome = ?",
            Outcome.PARTIAL,
            call_id,
            Outcome.RECORDED,
        )

    async def note_partial_of(self, recording_ids: Iterable[str]) -> None:
        """`note_partial` of these recordings' calls, by one statement."""
        self.stats.degraded += await self._correct(
            "outcome = ?",
            "outcome = ? AND call_id IN (SELECT call_id FROM recordings"
            " WHERE recording_id IN (SELECT value FROM json_each(?)))",
            Outcome.PARTIAL,
            Outcome.RECORDED,
            msgspec.json.encode(list(recording_ids)).decode(),
        )

    async def _correct(self, change: str, where: str, *values: str | int) -> int:
        """Change calls, and say so of those that have an outcome; how many they are."""

        def correct(db: sqlite3.Connection) -> int:
            changed = db.execute(
                f"UPDATE calls SET {change} WHERE {where}"  # noqa: S608 - ours
                " RETURNING call_id, outcome, missing_ms",
                values,
            ).fetchall()
            for call_id, outcome, missing_ms in changed:
                if outcome is not None:
                    corrected = CallCorrected(
                        call_id=call_id, outcome=outcome, missing_ms=missing_ms
                    )
                    self._enter(db, corrected)
            return len(changed)

        return await self._change(correct)

    # -- recordings -------------------------------------------------------------------

    async def segment(
        self, call_id: str, recording_id: str, group: str, started_utc_ns: int
    ) -> None:
        """Note that a segment of a call is being recorded. Raises LedgerError."""
        opened = RecordingOpened(
            call_id=call_id,
            recording_id=recording_id,
            group=group,
            started_utc_ns=started_utc_ns,
        )

        def begin(db: sqlite3.Connection) -> None:
            recordings.begin(
                db,
                call_id=call_id,
                recording_id=recording_id,
                group=group,
                started_utc_ns=started_utc_ns,
                now_utc_ns=utc_ns(),
            )
            self._enter(db, opened)

        await self._change(begin, grows=True)

    async def advance(
        self,
        recording_id: str,
        state: RecordingState,
        *,
        verdict: str = "",
        salvaged: bool = False,
    ) -> None:
        """Note how far a recording has come; never backwards. Raises LedgerError.

        An empty `verdict` leaves what is known of its quality. `salvaged` says of one
        that is sealed that a killed run had left it.
        """
        await self._advance([recording_id], state, verdict, salvaged=salvaged)

    async def advance_all(
        self, recording_ids: Iterable[str], state: RecordingState
    ) -> None:
        """`advance`, for many by one statement."""
        await self._advance(list(recording_ids), state, "", salvaged=False)

    async def _advance(
        self,
        recording_ids: list[str],
        state: RecordingState,
        verdict: str,
        *,
        salvaged: bool,
    ) -> None:
        def advance(db: sqlite3.Connection) -> None:
            events = recordings.advance(
                db,
                recording_ids,
                state,
                verdict,
                salvaged=salvaged,
                now_utc_ns=utc_ns(),
            )
            self._enter(db, *events)

        await self._change(advance)

    async def forget_recording(self, recording_id: str) -> None:
        """Nothing of it was written, or kept, unless the ledger knows better."""

        def drop(db: sqlite3.Connection) -> None:
            self._enter(db, *recordings.drop(db, recording_id))

        await self._change(drop)

    # -- events ----------------------------------------------------------------------

    async def tell(self, event: CallEvent | DailySummary) -> None:
        """Write an event, if any are, that is about no change. Raises LedgerError."""
        if self.outbox is not None:
            await self.outbox.tell(event)

    def _enter(self, db: sqlite3.Connection, *events: CallEvent) -> None:
        """Write the events of a change as part of it."""
        if self.outbox is not None:
            for event in events:
                self.outbox.insert(db, event)

    async def _change(
        self,
        act: Callable[[sqlite3.Connection], T],
        *,
        grows: bool = False,
        haste: Haste = Haste.NOW,
    ) -> T:
        """Do what may write an event."""
        result = await self._database.do(act, grows=grows, haste=haste)
        if self.outbox is not None:
            self.outbox.written.set()
        return result

    # -- questions ---------------------------------------------------------------

    async def open_calls(self) -> list[LedgerRow]:
        """Calls without an outcome, the oldest first."""
        return await self._database.do(lambda db: rows_of(db, db.execute(_OPEN_CALLS)))

    async def call_of(self, recording_id: str) -> str:
        """The call a recording belongs to; empty if it is not known."""
        return await self._database.do(lambda db: recordings.call_of(db, recording_id))

    async def open_recordings(self) -> list[RecordingRow]:
        """Recordings that are not purged yet, the oldest first."""
        return await self._database.do(
            lambda db: recordings_of(
                db.execute(_UNFINISHED_RECORDINGS, (RecordingState.PURGED,))
            )
        )

    async def expire(self, before_utc_ns: int) -> None:
        """Forget closed calls that began before a moment. Raises LedgerError."""
        await self._database.do(lambda db: expiry.expire(db, before_utc_ns))
