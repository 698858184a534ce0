"""One SQLite file in one thread, with group commit and a reserve for a full disk.

Writers queue up and are committed together: one transaction, one fsync, for as many
as came meanwhile. A preallocated file beside the database is given up when the disk
is full, so that the last rows still find room.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from agent.common.errors import AgentError

MAX_BATCH: Final = 500
"Changes in one transaction: what comes later waits for the next."

T = TypeVar("T")


class LedgerError(AgentError):
    """The ledger cannot be written or read."""

    permanent = False
    hint = "Check the spool's file system; the ledger is needed to take calls."


class Database:
    """One SQLite file. `do` returns when its change is durable."""

    def __init__(self, path: Path, schema: str, *, reserve_bytes: int) -> None:
        self._path = path
        self._schema = schema
        self._reserve = path.with_suffix(".reserve")
        self._reserve_bytes = reserve_bytes
        self._queue: queue.Queue[_Work | None] = queue.Queue()
        self._thread: threading.Thread | None = None
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
        """Finish what is queued and close the file."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def do(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Run `act` in a transaction, with whatever else is waiting.

        Raises LedgerError: what `act` raised itself, or that nothing was written.
        """
        loop = asyncio.get_running_loop()
        work = _Work(act, loop, loop.create_future())
        self._queue.put(work)
        return cast("T", await work.future)

    def _run(
        self, loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[None]"
    ) -> None:
        try:
            db = self._open()
        except (sqlite3.Error, OSError) as error:
            failure = LedgerError(f"the ledger {self._path} cannot be opened: {error}.")
            loop.call_soon_threadsafe(opened.set_exception, failure)
            return
        loop.call_soon_threadsafe(opened.set_result, None)
        with contextlib.closing(db):
            while (batch := self._next_batch()) is not None:
                self._commit(db, batch)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        self._path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(self._schema)
        self._keep_reserve()
        return db

    def _next_batch(self) -> "list[_Work] | None":
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if work is None:
                self._queue.put(None)  # after this batch
                break
            batch.append(work)
        return batch

    def _commit(self, db: sqlite3.Connection, batch: "list[_Work]") -> None:
        """Run a batch as one transaction; on a full disk, once more on the reserve."""
        for attempt in range(2):
            try:
                results = self._transact(db, batch)
            except sqlite3.Error as error:
                if attempt == 0 and self._reserve.exists() and _is_full(error):
                    self._reserve.unlink()
                    continue
                failure = LedgerError(f"the ledger cannot be written: {error}.")
                for work in batch:
                    work.fail(failure)
                return
            for work, result in zip(batch, results, strict=True):
                if isinstance(result, LedgerError):
                    work.fail(result)
                else:
                    work.succeed(result)
            self._keep_reserve()
            return

    def _transact(self, db: sqlite3.Connection, batch: "list[_Work]") -> list[object]:
        results: list[object] = []
        db.execute("BEGIN IMMEDIATE")
        try:
            for work in batch:
                db.execute("SAVEPOINT one")
                try:
                    results.append(work.act(db))
                except LedgerError as error:
                    # One writer's mistake is not another's.
                    db.execute("ROLLBACK TO one")
                    results.append(error)
                except sqlite3.IntegrityError as error:
                    db.execute("ROLLBACK TO one")
                    results.append(LedgerError(f"the ledger refuses this: {error}."))
                db.execute("RELEASE one")
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.commits += 1
        return results

    def _keep_reserve(self) -> None:
        """Keep room for a few thousand rows, to be given up on a full disk."""
        if self._reserve_bytes == 0 or self._reserve.exists():
            return
        status = os.statvfs(self._path.parent)
        if status.f_bavail * status.f_frsize < 4 * self._reserve_bytes:
            return  # given up once already, and there is no room yet
        fd = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._reserve_bytes)
        finally:
            os.close(fd)


class _Work:
    """One change or question on its way to the thread and back."""

    def __init__(
        self,
        act: Callable[[sqlite3.Connection], object],
        loop: asyncio.AbstractEventLoop,
        future: "asyncio.Future[object]",
    ) -> None:
        self.act = act
        self._loop = loop
        self.future = future

    def succeed(self, result: object) -> None:
        self._resolve(lambda: self.future.set_result(result))

    def fail(self, error: Exception) -> None:
        self._resolve(lambda: self.future.set_exception(error))

    def _resolve(self, act: Callable[[], None]) -> None:
        def settle() -> None:
            if not self.future.done():  # its waiter may have been cancelled
                act()

        # The loop is gone when the daemon was cancelled harder than it should be.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(settle)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
    }
