import os
from pathlib import Path

import pytest

from agent.recording.reserve import LAST_PART, Reserve

SIZE = 1 << 16


def test_it_is_given_up_in_two_steps_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    reserve = Reserve(path, SIZE)
    assert reserve.keep()
    assert path.stat().st_blocks * 512 >= SIZE
    assert path.stat().st_mode & 0o777 == 0o600
    assert not reserve.keep()
    assert reserve.give_up(last=False)
    assert path.stat().st_size == SIZE // LAST_PART
    assert not reserve.give_up(last=False)
    assert not reserve.spent
    assert reserve.give_up(last=True)
    assert reserve.spent
    assert not path.exists()
    assert not reserve.give_up(last=True)
    assert reserve.keep()
    assert not reserve.spent
    reserve.give_up(last=False)
    assert reserve.keep()
    assert path.stat().st_size == SIZE


def test_none_is_wanted(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 0)
    assert not reserve.keep()
    assert not reserve.give_up(last=True)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_it(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    reserve = Reserve(tmp_path / "reserve", status.f_bavail * status.f_frsize)
    assert not reserve.keep()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_says_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, offset: int, size: int) -> None:
        os.ftruncate(fd, size // 2)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert not Reserve(tmp_path / "reserve", SIZE).keep()
    assert list(tmp_path.iterdir()) == []
