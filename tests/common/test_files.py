import os
import socket
import stat
from pathlib import Path

import pytest

from agent.common import files
from tests.power.tape import Tape


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
    (path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        files.make_private_directory(path / "file")


def test_a_socket_may_lie_deep(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100) / "x.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, files.socket_name(path) as name:
        listener.bind(name)
    assert path.is_socket()


def test_a_new_file_takes_nobodys_place(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_new(path, [b"one", b"", b"two"])
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        files.write_new(path, [b"x"])
    assert path.read_bytes() == b"onetwo"


def test_a_write_that_takes_a_part_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:2]))
    files.write_new(tmp_path / "a", [b"one", b"two"])
    assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_directories_made_are_there_after_a_power_cut(tmp_path: Path) -> None:
    with Tape(tmp_path) as tape:
        files.make_private_directory(tmp_path / "x" / "y" / "z")
    assert tape.survivors() == [dict.fromkeys(("x", "x/y", "x/y/z"))]


def test_what_others_have_written_is_made_durable(tmp_path: Path) -> None:
    with Tape(tmp_path) as tape:
        fd = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT, 0o600)
        files.write_all(fd, b"data")
        files.sync_file(tmp_path / "a")
        files.sync_directory(tmp_path)
        files.sync_file(tmp_path / "none")
    os.close(fd)
    assert tape.survivors() == [{"a": b"data"}]
