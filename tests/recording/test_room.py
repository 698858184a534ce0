import asyncio
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.recording.room import MIN_INODES, NoRoomError, Room, SpoolRoom
from tests.call.party import until

GIB = 1 << 30


class Disk:
    """What statvfs says of a disk of 100 GiB."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.used = 10 * GIB
        self.files, self.inodes = 1000, 1000
        patch.setattr(os, "statvfs", self._statvfs)

    def _statvfs(self, path: Path) -> Any:
        path.stat()
        free = (100 * GIB - self.used) // 4096
        return SimpleNamespace(
            f_blocks=100 * GIB // 4096, f_bfree=free, f_bavail=free, f_frsize=4096,
            f_flag=0, f_files=self.files, f_favail=self.inodes,
        )  # fmt: skip


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def room(path: Path, *, high_water: float = 0.9, min_free: int = 0) -> SpoolRoom:
    return SpoolRoom(path, high_water=high_water, min_free=min_free)


def test_high_water_is_one_alarm_until_it_is_over(
    disk: Disk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = room(tmp_path)
    refused = []
    for gib in (50, 89, 90, 91, 89, 95, 87, 89, 91):
        disk.used = gib * GIB
        try:
            spool.check()
        except NoRoomError as error:
            assert "high-water mark" in str(error)  # noqa: PT017 - it may not be raised
            refused.append(gib)
    assert refused == [90, 91, 89, 95, 91]
    log = capsys.readouterr().out
    assert log.count("spool_high_water") == 2
    assert log.count("spool_below_high_water") == 1
    assert spool.high


async def test_the_alarm_waits_for_no_call(
    disk: Disk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.used = 99 * GIB
    spool = room(tmp_path)
    task = asyncio.get_running_loop().create_task(spool.watch())
    await until(lambda: spool.high)
    task.cancel()
    assert "spool_high_water" in capsys.readouterr().out


async def test_a_spool_that_is_gone_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.recording.room.WATCH_SECONDS", 0)
    looked = 0
    spool = room(tmp_path / "gone")
    look = spool.look

    def count() -> Room:
        nonlocal looked
        looked += 1
        return look()

    monkeypatch.setattr(spool, "look", count)
    task = asyncio.get_running_loop().create_task(spool.watch())
    await until(lambda: looked > 3)
    task.cancel()
    assert capsys.readouterr().out.count("spool_unreadable") == 1


def test_whatever_else_takes_no_recording(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room(tmp_path, min_free=90 * GIB).check()
    with pytest.raises(NoRoomError, match="92160 MiB left"):
        room(tmp_path, min_free=90 * GIB + 4096).check()
    disk.inodes = MIN_INODES
    room(tmp_path).check()
    disk.inodes -= 1
    with pytest.raises(NoRoomError, match="63 inodes left"):
        room(tmp_path).check()
    disk.files = disk.inodes = 0  # as of a file system that does not count them
    room(tmp_path).check()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(NoRoomError, match="cannot be written"):
            room(tmp_path).check()
    shutil.rmtree(tmp_path)
    with pytest.raises(NoRoomError, match="cannot be read"):
        room(tmp_path).check()


def test_how_full() -> None:
    assert Room(used=3, free=1, inodes=1).fraction == 0.75
    assert Room(used=0, free=0, inodes=0).fraction == 1.0
