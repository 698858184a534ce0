"""One SQLite file in one thread, with group commit and a reserve for a full disk.

Writers queue up and are committed together: one transaction, one fsync, for as many
as came meanwhile. A preallocated file beside the database is given up when the disk
is full, so that the last rows still find room.
"""

import asyncio
import contextlib
import itertools
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar, cast

from agent.common.errors import AgentError
from agent.common.files import sync_directory
from agent.recording.reserve import Reserve

MAX_BATCH: Final = 500
"Changes in one transaction: what comes later waits for the next."
PATIENCE: Final = 0.05
"Seconds that writers wait at most for others to share their commit."
LOG_PAGES: Final = 1000
"Pages in the write-ahead log after which they are copied into the database …"
LOG_PAGES_WHEN_FULL: Final = 8
"… and while the disk is full."

T = TypeVar("T")


class LedgerError(AgentError):
    """The ledger cannot be written or read."""

    permanent = False
    hint = "Check the spool's file system; the ledger is needed to take calls."


class Haste(Enum):
    """How long a writer may wait for others, so that they cost one commit."""

    NOW = "now"
    "Not at all."
    FAIR = "fair"
    "Until PATIENCE after the commit before: not at all where writers are rare."
    LATE = "late"
    "For PATIENCE, or the next who does not: nobody waits for it."


class Database:
    """One SQLite file. `do` returns when its change is durable."""

    def __init__(
        self,
        path: Path,
        migrations: Sequence[Callable[[sqlite3.Connection], None]],
        *,
        reserve_bytes: int,
    ) -> None:
        """`migrations[n]` makes a file of version n one of version n + 1."""
        self._path = path
        self._migrations = migrations
        self.set_aside: Path | None = None
        "Where a file of a newer version went, if there was one."
        self._reserve = Reserve(path.with_suffix(".reserve"), reserve_bytes)
        self._queue: queue.SimpleQueue[list[_Work] | None] = queue.SimpleQueue()
        self._waiting: list[_Work] = []
        "What no commit has been asked for yet …"
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        "Kept here: uvloop's handle of what is due at once does not know when."
        "… and until when."
        self._asked_at = float("-inf")
        "When a commit was asked for last, by the loop's clock."
        self._thread: threading.Thread | None = None
        self._closed = False
        self.commits = 0
        "Transactions so far."

    async def start(self) -> None:
        """Open the file. Raises LedgerError."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(loop, opened), name="ledger", daemon=True
        )
        self._thread.start()
        await opened

    async def close(self) -> None:
        """Finish what is queued and close the file; what comes later is refused."""
        self._closed = True
        if self._thread is not None:
            self._hand_over()
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def do(
        self,
        act: Callable[[sqlite3.Connection], T],
        *,
        grows: bool = False,
        haste: Haste = Haste.NOW,
    ) -> T:
        """Run `act` in a transaction, with whatever else is waiting.

        What `grows` adds rows; it is refused the last room on a full disk.
        Raises what `act` raised itself, or LedgerError: nothing was written.
        """
        if self._closed or self._thread is None:
            raise LedgerError("the ledger is closed.")
        loop = asyncio.get_running_loop()
        work = _Work(act, grows, loop, loop.create_future())
        self._waiting.append(work)
        self._hand_over_in_time(loop, haste)
        return cast("T", await work.future)

    def _hand_over_in_time(self, loop: asyncio.AbstractEventLoop, haste: Haste) -> None:
        now = loop.time()
        since = now if haste is Haste.LATE else self._asked_at
        due = now if haste is Haste.NOW else since + PATIENCE
        if due <= now:
            self._hand_over()
        elif self._timer is None or due < self._timer_at:
            self._stop_timer()
            self._timer_at = due
            self._timer = loop.call_at(due, self._hand_over)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self) -> None:
        """Let the thread have what there is to do."""
        self._stop_timer()
        if self._waiting:
            works, self._waiting = self._waiting, []
            self._asked_at = asyncio.get_running_loop().time()
            self._queue.put(works)

    def _run(
        self, loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[None]"
    ) -> None:
        try:
            try:
                self._set_newer_aside()
                db = self._open()
            except sqlite3.Error:
                # A full disk: the daemon must start all the same.
                if not self._reserve.give_up(last=True):
                    raise
                db = self._open()
        except (sqlite3.Error, OSError) as error:
            self._closed = True
            failure = LedgerError(f"the ledger {self._path} cannot be opened: {error}.")
            loop.call_soon_threadsafe(opened.set_exception, failure)
            return
        self._keep_reserve(db)
        loop.call_soon_threadsafe(opened.set_result, None)
        with contextlib.closing(db):
            while (batch := self._next_batch()) is not None:
                self._commit(db, batch)

    def _open(self) -> sqlite3.Connection:
        # Its companions -wal and -shm are made with the mode of the file itself.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            self._migrate(db)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Bring the file to today's version, each step in a transaction of its own."""
        version = _version(db)
        for number, migrate in enumerate(self._migrations[version:], version + 1):
            db.execute("BEGIN IMMEDIATE")
            try:
                migrate(db)
                db.execute(f"PRAGMA user_version = {number}")
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _set_newer_aside(self) -> None:
        """Rename a file that this software does not understand; it stays whole."""
        if not self._path.exists():
            return
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            version = _version(db)
            if version <= len(self._migrations):
                return
            # Into the file with what stands in its log, which has its old name.
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        aside = _free_name(self._path.with_suffix(f".v{version}{self._path.suffix}"))
        self._path.rename(aside)
        sync_directory(self._path.parent)
        self.set_aside = aside

    def _next_batch(self) -> "list[_Work] | None":
        first = self._queue.get()
        if first is None:
            return None
        batch = first
        while len(batch) < MAX_BATCH:
            try:
                works = self._queue.get_nowait()
            except queue.Empty:
                break
            if works is None:
                self._queue.put(None)  # after this batch
                break
            batch += works
        return batch

    def _commit(self, db: sqlite3.Connection, batch: "list[_Work]") -> None:
        """Run a batch as one transaction; on a full disk, again on the reserve."""
        for attempt in range(3):
            last = attempt == 2 or self._reserve.spent
            if last and not (batch := _without_growth(batch)):
                return
            try:
                results = self._transact(db, batch)
            except sqlite3.Error as error:
                if attempt < 2 and _is_full(error):
                    self._make_room(db, last=attempt == 1)
                    continue
                failure = LedgerError(f"the ledger cannot be written: {error}.")
                _settle(batch, [failure] * len(batch))
                return
            _settle(batch, results)
            self._keep_reserve(db)
            return

    def _transact(self, db: sqlite3.Connection, batch: "list[_Work]") -> list[object]:
        """Run a batch as one transaction; each result is a value or an exception.

        Where one fails, all are run again, apart from each other. Every statement
        takes the interpreter from the event loop and back, so in the common case
        there are no more than it needs.
        """
        db.execute("BEGIN IMMEDIATE")
        try:
            try:
                results: list[object] = [work.act(db) for work in batch]
            except Exception:  # noqa: BLE001 - found again, and told its own writer
                db.execute("ROLLBACK")
                db.execute("BEGIN IMMEDIATE")
                results = [_act_apart(db, work) for work in batch]
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.commits += 1
        return results

    def _make_room(self, db: sqlite3.Connection, *, last: bool) -> None:
        """On a full disk: give up the reserve, and keep the log short.

        The log grows by pages for every row; once these are in the database it starts
        anew in the room it has. So the reserve goes into rows, not into the log.
        """
        self._reserve.give_up(last=last)
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA wal_checkpoint(RESTART)")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_WHEN_FULL}")

    def _keep_reserve(self, db: sqlite3.Connection) -> None:
        if self._reserve.keep():
            db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _free_name(path: Path) -> Path:
    """`path`, or with a number behind it what nobody has."""
    names = itertools.chain(
        [path], (path.with_name(f"{path.name}.{n}") for n in itertools.count(1))
    )
    return next(name for name in names if not name.exists())


def _act_apart(db: sqlite3.Connection, work: "_Work") -> object:
    """Run one of a batch so that its mistake is not another's.

    Raises sqlite3.Error where it is the file's fault, and so everybody's.
    """
    db.execute("SAVEPOINT one")
    result: object
    try:
        result = work.act(db)
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError) as error:
        result = LedgerError(f"the ledger refuses this: {error}.")
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - it goes to its own waiter
        result = error
    else:
        db.execute("RELEASE one")
        return result
    db.execute("ROLLBACK TO one")
    db.execute("RELEASE one")
    return result


def _without_growth(batch: "list[_Work]") -> "list[_Work]":
    """The last room is for closing what stands: refuse the rest."""
    failure = LedgerError("the ledger has no room for more: the disk is full.")
    refused = [work for work in batch if work.grows]
    _settle(refused, [failure] * len(refused))
    return [work for work in batch if not work.grows]


def _settle(batch: "list[_Work]", results: Sequence[object]) -> None:
    """Tell every writer of a batch what came of it, in one visit to the loop."""
    if not batch:
        return

    def settle() -> None:
        for work, result in zip(batch, results, strict=True):
            if work.future.done():
                continue  # its waiter was cancelled
            if isinstance(result, Exception):
                work.future.set_exception(result)
            else:
                work.future.set_result(result)

    # The loop is gone when the daemon was cancelled harder than it should be.
    with contextlib.suppress(RuntimeError):
        batch[0].loop.call_soon_threadsafe(settle)


@dataclass(slots=True, eq=False)
class _Work:
    """One change or question on its way to the thread and back."""

    act: Callable[[sqlite3.Connection], object]
    grows: bool
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[object]"


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
