import os
import socket
import stat
from pathlib import Path

import pytest

from agent.common import files


def test_write_durably_leaves_exactly_the_data(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_durably(path, b"one")
    files.write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a"
    files.write_durably(path, b"one")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        files.write_durably(path, b"two")
    monkeypatch.undo()
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_nobody_appends_to_anothers_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    os.close(files.create_exclusively(path))
    with pytest.raises(FileExistsError):
        files.create_exclusively(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_whose_entry_cannot_be_made_durable_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "sync_directory", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.create_exclusively(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_private_directories_are_tightened(tmp_path: Path) -> None:
    path = tmp_path / "x" / "y"
    files.make_private_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o755)
    files.make_private_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_socket_may_lie_deep(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100) / "x.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, files.socket_name(path) as name:
        listener.bind(name)
    assert path.is_socket()
