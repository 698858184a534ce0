"""The outbox: events that are not sent yet, in the ledger's file, beside the calls.

What happens to a call and the event that tells of it are one transaction: neither is
ever there without the other. A row is deleted once the broker has it; nothing else
holds an event, so that an outage costs room on disk and no memory.
"""

import asyncio
import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from agent.common.clock import utc_ns
from agent.common.ids import id_of, new_id
from agent.model.events import (
    AlarmEvent,
    Backlog,
    CallEvent,
    DailySummary,
    Event,
    OutboxRow,
)
from agent.recording.database import Database, Haste

FORGOTTEN_AT_ONCE: Final = 1000
"Rows beyond the bounds that one transaction drops: no sweep ever holds up a call."
COUNTED: Final = 10_000
"So many rows are counted one by one; of more than that it is known how many they are \
at most, for a count would read a day's events and hold up calls meanwhile."
MAX_SEEN: Final = 10_000
"Commands whose ids are remembered; more than that within their half minute is abuse."


class Outbox:
    """The rows of one spool. Every method returns when its change is durable."""

    def __init__(self, database: Database, host: str) -> None:
        self._database = database
        self._host = host
        self.written = asyncio.Event()
        "Set when there are rows that nobody has asked for."

    # -- written by the ledger, in its transactions ------------------------------------

    def insert(self, db: sqlite3.Connection, event: Event) -> None:
        """Put an event into its line, as part of the caller's transaction.

        It gets its id, time, host and number here, in the order of what happened.
        """
        line, now = line_of(event), utc_ns()
        event = msgspec.structs.replace(
            event, event_id=self._id_of(event), utc_ns=now, host=self._host
        )
        if not isinstance(event, AlarmEvent | DailySummary):
            found = db.execute(
                "UPDATE calls SET events = events + 1 WHERE call_id = ?"
                " RETURNING events",
                (event.call_id,),
            ).fetchone()
            if found is not None:
                event = msgspec.structs.replace(event, sequence=found[0])
        db.execute(
            "INSERT INTO outbox (line, made_utc_ns, body) VALUES (?, ?, ?)",
            (line, now, msgspec.json.encode(event)),
        )

    def _id_of(self, event: Event) -> str:
        if isinstance(event, DailySummary):
            # Of a day there is one, also where a crash has it told twice.
            return id_of(self._host, line_of(event), event.day)
        return new_id()

    async def tell(self, event: CallEvent | DailySummary) -> None:
        """Write an event that is about no change of the ledger. Raises LedgerError."""
        await self._database.do(
            lambda db: self.insert(db, event), grows=True, haste=Haste.LATE
        )
        self.written.set()

    # -- alarms: what the broker retains -------------------------------------------

    async def tell_alarm(self, event: AlarmEvent) -> None:
        """Write that an alarm is on, or over, and note which. Raises LedgerError."""

        def tell(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR IGNORE INTO alarms_told VALUES (?)"
                if event.active
                else "DELETE FROM alarms_told WHERE event = ?",
                (event.event,),
            )
            self.insert(db, event)

        await self._database.do(tell, grows=True, haste=Haste.LATE)
        self.written.set()

    async def alarms_told(self) -> list[str]:
        """Those that were told to be on, and not to be over. Raises LedgerError."""
        return await self._database.do(
            lambda db: [row[0] for row in db.execute("SELECT event FROM alarms_told")]
        )

    # -- commands ---------------------------------------------------------------

    async def first_seen(self, command_id: str, expires_utc_ns: int) -> bool:
        """Whether this command was never seen; from now on it is. Raises LedgerError.

        What has expired is forgotten: it would be refused for that alone.
        """
        now = utc_ns()

        def see(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM commands_seen WHERE expires_utc_ns < ?", (now,))
            added = db.execute(
                "INSERT OR IGNORE INTO commands_seen SELECT ?, ?"
                " WHERE (SELECT count(*) FROM commands_seen) < ?",
                (command_id, expires_utc_ns, MAX_SEEN),
            )
            return added.rowcount == 1

        return await self._database.do(see)

    # -- read by the publisher --------------------------------------------------

    async def exchange(
        self, sent: Iterable[int], *, after: int, limit: int
    ) -> list[OutboxRow]:
        """Delete what was sent, and give what stands behind `after`, the oldest first.

        Raises LedgerError; then nothing was deleted.
        """
        self.written.clear()
        gone = [(position,) for position in sent]

        def exchange(db: sqlite3.Connection) -> list[OutboxRow]:
            db.executemany("DELETE FROM outbox WHERE position = ?", gone)
            rows = db.execute(
                "SELECT position, line, body FROM outbox WHERE position > ?"
                " ORDER BY position LIMIT ?",
                (after, limit),
            )
            return [OutboxRow(*row) for row in rows.fetchall()]

        return await self._database.do(exchange, haste=Haste.LATE)

    async def trim(self, *, max_rows: int, before_utc_ns: int) -> int:
        """Drop the oldest rows beyond the bounds, some at a time; how many went.

        Raises LedgerError.
        """

        def trim(db: sqlite3.Connection) -> int:
            rows = _rows(db)
            if rows > max_rows:
                (rows,) = db.execute("SELECT count(*) FROM outbox").fetchone()
            beyond = min(max(rows - max_rows, 0), FORGOTTEN_AT_ONCE)
            dropped = db.execute(
                "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox"
                " ORDER BY position LIMIT ?)",
                (beyond,),
            ).rowcount
            # By the order they stand in, whatever the clock did meanwhile.
            dropped += db.execute(
                "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox"
                " ORDER BY position LIMIT ?) AND made_utc_ns < ?",
                (FORGOTTEN_AT_ONCE, before_utc_ns),
            ).rowcount
            return dropped

        return await self._database.do(trim)

    async def backlog(self) -> Backlog:
        """How much waits, COUNTED or more as far as it is known. Raises LedgerError."""
        oldest = "SELECT made_utc_ns FROM outbox ORDER BY position LIMIT 1"

        def look(db: sqlite3.Connection) -> Backlog:
            found = db.execute(oldest).fetchone()
            return Backlog(_rows(db), None if found is None else found[0])

        return await self._database.do(look)


def _rows(db: sqlite3.Connection) -> int:
    """How many rows there are; beyond COUNTED, at most."""
    some = "SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT ?)"
    (rows,) = db.execute(some, (COUNTED + 1,)).fetchone()
    if rows > COUNTED:
        # Each looks at one end of the table; together they would read all of it.
        (rows,) = db.execute(
            "SELECT (SELECT max(position) FROM outbox)"
            " - (SELECT min(position) FROM outbox) + 1"
        ).fetchone()
    return int(rows)


def line_of(event: Event) -> str:
    """What an event must not overtake: its call's others, or its alarm's."""
    match event:
        case AlarmEvent():
            return f"alarms/{event.event}"
        case DailySummary():
            return "summary"
        case _:
            return event.call_id
