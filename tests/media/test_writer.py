import errno
import os
import resource
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.common import files
from agent.common.clock import monotonic
from agent.media.writer import Closed, Failed, JournalWriter, Opened, Result, reason_of
from tests.patience import PATIENCE
from tests.power.tape import Tape


class Desk:
    """A writer, and a place where its results can be waited for."""

    def __init__(self, **options: int) -> None:
        self.written: list[bytes] = []
        self._arrived = threading.Semaphore(0)
        self.writer = JournalWriter(
            fsync_interval=0.01, notify=self._arrived.release, **options
        )

    def append(self, journal: str, data: bytes) -> bool:
        written = partial(self.written.append, data)
        return self.writer.append(journal, data, written)

    def result(self) -> Result:
        assert self._arrived.acquire(timeout=PATIENCE)
        return self.writer.results.popleft()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    desk.writer.start()
    yield desk
    desk.writer.stop()


def test_a_journal_from_beginning_to_end(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    desk.writer.open("a", path)
    assert desk.result() == Opened("a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert desk.append("a", b"one")
    assert desk.append("a", b"two")
    desk.writer.close("a")
    assert desk.result() == Closed("a", 6)
    assert desk.written == [b"one", b"two"]
    assert path.read_bytes() == b"onetwo"


def test_a_file_that_exists_is_never_touched(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b"another's")
    desk.writer.open("a", path)
    assert desk.result() == Failed("a", errno.EEXIST)
    desk.append("a", b"mine")
    desk.writer.close("a")
    desk.writer.open("b", tmp_path / "b.journal")
    assert desk.result() == Opened("b")
    assert path.read_bytes() == b"another's"


def test_what_a_dead_worker_wrote_is_made_durable_by_its_successor(
    tmp_path: Path,
) -> None:
    """… before a line of its own: it has no thread any more that would."""
    dead, own = tmp_path / "a.0.journal", tmp_path / "a.1.journal"
    desk = Desk()
    with Tape(tmp_path) as tape:
        fd = os.open(dead, os.O_WRONLY | os.O_CREAT, 0o600)
        files.write_all(fd, b"what it wrote")
        os.close(fd)
        files.sync_directory(tmp_path)
        desk.writer.open("a", own, (tmp_path / "never made", dead))
        desk.writer.start()
        assert desk.result() == Opened("a")
        desk.writer.stop()
    assert tape.survivors() == [{dead.name: b"what it wrote", own.name: b""}]


def test_a_missing_directory_fails_one_journal_only(desk: Desk, tmp_path: Path) -> None:
    desk.writer.open("a", tmp_path / "nowhere" / "a.journal")
    assert desk.result() == Failed("a", errno.ENOENT)
    desk.writer.open("b", tmp_path / "b.journal")
    assert desk.result() == Opened("b")


def test_a_full_disk_is_told_once_and_the_thread_lives_on(
    desk: Desk, tmp_path: Path
) -> None:
    desk.writer.open("a", tmp_path / "a.journal")
    desk.writer.open("b", tmp_path / "b.journal")
    assert (desk.result(), desk.result()) == (Opened("a"), Opened("b"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        desk.append("a", bytes(900))
        desk.append("a", bytes(900))
        desk.append("a", bytes(900))
        assert desk.result() == Failed("a", errno.EFBIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    desk.append("b", b"goes on")
    desk.writer.close("b")
    assert desk.result() == Closed("b", 7)


def test_a_failing_sync_is_told_once(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", refuse)
    desk.writer.open("a", tmp_path / "a.journal")
    desk.append("a", b"data")
    assert desk.result() == Opened("a")
    assert desk.result() == Failed("a", errno.EIO)


def test_what_is_written_is_synced_at_the_interval(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Semaphore(0)
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.release())
    desk.writer.open("a", tmp_path / "a.journal")
    desk.append("a", b"data")
    assert synced.acquire(timeout=PATIENCE)


def test_how_long_what_is_written_has_not_been_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, go_on = threading.Event(), threading.Event()

    def fdatasync(_: int) -> None:
        syncing.set()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    desk = Desk()
    desk.writer.start()
    assert desk.writer.lag(monotonic() + 100) == 0
    desk.writer.open("a", tmp_path / "a.journal")
    desk.append("a", b"data")
    assert syncing.wait(PATIENCE)
    assert desk.writer.lag(monotonic() + 100) > 100
    go_on.set()
    deadline = monotonic() + PATIENCE
    while desk.writer.lag(monotonic() + 100):
        assert monotonic() < deadline
    desk.writer.stop()


def test_a_queue_that_is_full_takes_no_more() -> None:
    desk = Desk(max_queued=10)
    assert desk.append("a", bytes(10))
    assert not desk.append("a", b"1")
    desk.writer.stop()


def test_stopping_writes_and_closes_all(tmp_path: Path) -> None:
    desk = Desk()
    for name in "ab":
        desk.writer.open(name, tmp_path / name)
        desk.append(name, b"data")
    desk.writer.start()
    desk.writer.stop()
    assert sorted(map(repr, desk.writer.results)) == sorted(
        map(repr, [Opened("a"), Opened("b"), Closed("a", 4), Closed("b", 4)])
    )
    assert (tmp_path / "b").read_bytes() == b"data"


def test_reasons_have_names() -> None:
    assert reason_of(errno.ENOSPC) == "ENOSPC"
    assert reason_of(None) == "I/O error"
