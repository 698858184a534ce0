"""The one thread of a worker that touches the disk.

The packet loop hands it bytes and never waits. Writes go to the kernel at once: a
killed process loses nothing that got here. fdatasync follows at an interval, one
file after another, with the queue emptied between them.
"""

import contextlib
import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.common.clock import monotonic
from agent.common.files import create_exclusively, sync_file, write_all

MAX_QUEUED: Final = 32 * 1024 * 1024
"Bytes that may wait for the disk: a minute and more of a hundred calls."


@dataclass(frozen=True, slots=True)
class Opened:
    """The file exists, durably."""

    journal: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The disk refused; nothing more of this journal will be written."""

    journal: str
    errno: int | None


@dataclass(frozen=True, slots=True)
class Closed:
    """All of it is durable."""

    journal: str
    bytes: int


Result = Opened | Failed | Closed


@dataclass(frozen=True, slots=True)
class _Open:
    journal: str
    path: Path
    before: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Append:
    journal: str
    data: bytes
    written: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Close:
    journal: str


@dataclass(slots=True)
class _File:
    fd: int
    size: int = 0
    dirty: bool = False


class JournalWriter:
    """Journal files of one worker, by name.

    `notify` is called in the writer's thread whenever `results` has something new.
    """

    def __init__(
        self,
        *,
        fsync_interval: float,
        notify: Callable[[], None],
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self._interval = fsync_interval
        self._notify = notify
        self._max_queued = max_queued
        self._queue: deque[_Open | _Append | _Close] = deque()
        self._queued = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._files: dict[str, _File] = {}
        self._appended = 0.0
        "When bytes came last …"
        self._synced = monotonic()
        "… and from before when all are durable, or have failed and were told."
        self.results: deque[Result] = deque()
        "Taken from the left by the loop's thread."
        self._thread = threading.Thread(target=self._run, name="journal-writer")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def open(self, journal: str, path: Path, before: tuple[Path, ...] = ()) -> None:
        """Create a new file; tells Opened, or Failed if it cannot be or exists.

        First what dead workers wrote to the files `before` it is made durable: nobody
        else will, and what follows would be there after a power cut, but not they.
        """
        self._put(_Open(journal, path, before))

    def append(self, journal: str, data: bytes, written: Callable[[], None]) -> bool:
        """Queue bytes; False if the disk is so far behind that no more is taken.

        `written` is called, in the writer's thread, once the kernel has them.
        """
        if self._queued + len(data) > self._max_queued:
            return False
        self._appended = monotonic()
        self._put(_Append(journal, data, written))
        return True

    def lag(self, now: float) -> float:
        """Seconds for which bytes may have waited to be durable; 0 if none do."""
        synced = self._synced
        return now - synced if self._appended > synced else 0.0

    def close(self, journal: str) -> None:
        """Make all of it durable; tells Closed, or Failed."""
        self._put(_Close(journal))

    def stop(self) -> None:
        """Write what is queued, sync and close every file, end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _put(self, order: _Open | _Append | _Close) -> None:
        with self._wake:
            if isinstance(order, _Append):
                self._queued += len(order.data)
            self._queue.append(order)
            self._wake.notify()

    # -- the writer's thread --------------------------------------------------

    def _run(self) -> None:
        sync_at = monotonic() + self._interval
        while True:
            with self._wake:
                if not self._queue and not self._stopping:
                    self._wake.wait(max(0.0, sync_at - monotonic()))
                stopping = self._stopping
            began = monotonic()
            self._drain()
            if monotonic() >= sync_at:
                self._sync()
                self._synced = began
                sync_at = monotonic() + self._interval
            if stopping:
                for journal in list(self._files):
                    self._carry_out(_Close(journal))
                return

    def _drain(self) -> None:
        while self._queue:
            order = self._queue.popleft()
            self._carry_out(order)
            if isinstance(order, _Append):
                with self._wake:
                    self._queued -= len(order.data)

    def _sync(self) -> None:
        for journal, file in list(self._files.items()):
            self._drain()
            if not file.dirty or journal not in self._files:
                continue
            file.dirty = False
            try:
                os.fdatasync(file.fd)
            except OSError as error:
                self._fail(journal, error)

    def _carry_out(self, order: _Open | _Append | _Close) -> None:
        file = self._files.get(order.journal)
        try:
            if isinstance(order, _Open):
                for path in order.before:
                    sync_file(path)
                self._files[order.journal] = _File(create_exclusively(order.path))
                self._tell(Opened(order.journal))
            elif file is None:
                # It has failed already, and that was told.
                return
            elif isinstance(order, _Append):
                self._write(file, order.data)
                order.written()
            else:
                os.fdatasync(file.fd)
                del self._files[order.journal]
                os.close(file.fd)
                self._tell(Closed(order.journal, file.size))
        except OSError as error:
            self._fail(order.journal, error)

    def _write(self, file: _File, data: bytes) -> None:
        file.dirty = True
        write_all(file.fd, data)
        file.size += len(data)

    def _fail(self, journal: str, error: OSError) -> None:
        file = self._files.pop(journal, None)
        if file is not None:
            # The first error is the one to tell; close may repeat it.
            with contextlib.suppress(OSError):
                os.close(file.fd)
        self._tell(Failed(journal, error.errno))

    def _tell(self, result: Result) -> None:
        self.results.append(result)
        self._notify()


def reason_of(number: int | None) -> str:
    """The name of an errno, for people."""
    return errno.errorcode.get(number or 0, "I/O error")
