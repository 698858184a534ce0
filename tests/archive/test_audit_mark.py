import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.archive.audit_log import AuditBrokenError, AuditLog
from agent.archive.audit_mark import Mark, MarkError
from agent.formats.audit import Act
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import KEY, Clock


@pytest.fixture
def mark(tmp_path: Path) -> Mark:
    return Mark(tmp_path / "audit-mark")


def test_a_number_is_remembered(mark: Mark, tmp_path: Path) -> None:
    assert mark.read() == 0
    for number in (1, 999_999_999_999, 17):
        mark.write(number)
        assert mark.read() == number
    assert (tmp_path / "audit-mark").stat().st_mode & 0o777 == 0o600
    for number in (-1, 10**12):
        with pytest.raises(MarkError):
            mark.write(number)


def test_its_first_number_outlasts_a_power_cut(
    mark: Mark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    mark.write(1)
    assert str(tmp_path) in synced
    assert len(synced) == 2
    mark.write(2)
    assert len(synced) == 2
    assert mark.read() == 2


@pytest.mark.parametrize("data", [b"", b"1\n", b"0" * 13, b"+00000000001\n", b"0" * 99])
def test_a_damaged_file_is_told(mark: Mark, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "audit-mark").write_bytes(data)
    with pytest.raises(MarkError):
        mark.read()


async def test_a_log_that_was_cut_off_is_not_continued(mark: Mark) -> None:
    backend = MemoryBackend()
    log = AuditLog(backend, "gate", KEY, Clock(), mark=mark)
    await log.start()
    for _ in range(3):
        await log.append("gate", Act.START)
    await log.close()
    assert mark.read() == 3
    del backend.objects[max(backend.objects)]
    with pytest.raises(AuditBrokenError, match="before row 3"):
        await AuditLog(backend, "gate", KEY, Clock(), mark=mark).start()


async def test_a_mark_that_cannot_be_written_loses_no_row(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "none" / "audit-mark")
    log = AuditLog(MemoryBackend(), "gate", KEY, Clock(), mark=mark)
    await log.start()
    with capture_logs() as logs:
        assert await log.append("gate", Act.START) == 1
    assert [line["event"] for line in logs] == ["audit_mark_not_written"]
