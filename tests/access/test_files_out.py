import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from agent.access.files_out import WriteError, checksums, write_folder, write_zip

FILES = {"a.txt": b"one", "below/b.txt": b"two"}


def test_a_folder_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    written = write_folder(folder, FILES.items())
    assert {str(path.relative_to(folder)): path.read_bytes() for path in written} == (
        FILES
    )
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(WriteError, match="exists"):
        write_folder(folder, FILES.items())


def test_a_zip_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "copy.zip"
    write_zip(path, FILES.items())
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        assert {one.date_time[0] for one in archive.infolist()} == {1980}
    with pytest.raises(WriteError, match="exists"):
        write_zip(path, FILES.items())


def test_a_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError):
        write_folder(tmp_path / "file", FILES.items())


def test_the_stock_tool_reads_the_checksums(tmp_path: Path) -> None:
    write_folder(tmp_path / "copy", FILES.items())
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    command = ["sha256sum", "-c", "--strict"]
    subprocess.run(
        command, input=checksums(digests), cwd=tmp_path / "copy", check=True,
        capture_output=True,
    )  # fmt: skip
