import subprocess
import zipfile
from pathlib import Path

import pytest

from agent.access.exporting import ExportError
from agent.access.files_out import CHECKSUMS, WriteError, open_place

FILES = {"a.txt": b"one", "below/b.txt": b"two"}


def fill(path: Path) -> None:
    with open_place(path) as place:
        for name, data in FILES.items():
            place.add(name, data)


def test_a_folder_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    fill(folder)
    for name, data in FILES.items():
        assert (folder / name).read_bytes() == data
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(WriteError, match="exists"):
        fill(folder)


def test_a_zip_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "copy.zip"
    fill(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert {name: archive.read(name) for name in names if name in FILES} == FILES
        assert names[-1] == CHECKSUMS
        assert {one.date_time[0] for one in archive.infolist()} == {1980}
    with pytest.raises(WriteError, match="exists"):
        fill(path)


@pytest.mark.parametrize("name", ["file", "none/copy.zip"])
def test_a_place_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError):
        fill(tmp_path / name)


def test_the_stock_tool_reads_the_checksums(tmp_path: Path) -> None:
    fill(tmp_path / "copy")
    command = ["sha256sum", "-c", "--strict", CHECKSUMS]
    done = subprocess.run(
        command, cwd=tmp_path / "copy", check=True, capture_output=True
    )
    assert done.stdout.count(b": OK") == len(FILES)


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_where_nothing_was_given_out_nothing_is_left(tmp_path: Path, name: str) -> None:
    def refused() -> None:
        with open_place(tmp_path / name):
            raise ExportError("refused")

    with pytest.raises(ExportError, match="refused"):
        refused()
    assert list(tmp_path.iterdir()) == []
    fill(tmp_path / name)
    with pytest.raises(WriteError, match="exists"):
        fill(tmp_path / name)
