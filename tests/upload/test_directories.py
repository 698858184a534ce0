import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.upload.bucket_properties import Verdict
from agent.upload.directories import Owner, check_directory, init_directory, owner_of

ROOTS = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for another user")
NOBODY = Owner(65534, 65534)


def test_a_directory_is_made_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "locked"
    assert [f.verdict for f in check_directory(path)] == [Verdict.WRONG]
    assert [f.verdict for f in init_directory(path)] == [Verdict.RIGHT] * 2
    assert path.stat().st_mode & 0o777 == 0o700
    assert [f.verdict for f in check_directory(path)] == [Verdict.RIGHT] * 2


def test_a_directory_that_is_there_keeps_its_mode_and_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for judge in (check_directory, init_directory):
        _, access = judge(tmp_path)
        assert access.verdict is Verdict.WRONG
        assert access.text == "everybody on this host may enter it (0755)"
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    tmp_path.chmod(0o750)  # a group of the operator's choice
    assert [f.verdict for f in check_directory(tmp_path)] == [Verdict.RIGHT] * 2


def test_what_is_no_directory_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert [f.text for f in check_directory(file)] == ["it is something else"]
    (found,) = init_directory(file / "below")
    assert found.text == "it cannot be made: Not a directory"


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that others may pass through."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


@ROOTS
def test_what_root_makes_is_the_services(anybodys: Path) -> None:
    path = anybodys / "a" / "locked"
    assert [f.verdict for f in init_directory(path, NOBODY)] == [Verdict.RIGHT] * 2
    assert path.parent.stat().st_uid == path.stat().st_uid == NOBODY.uid
    assert owner_of(path) == NOBODY


@ROOTS
def test_what_the_service_may_not_write_to_is_told(anybodys: Path) -> None:
    path = anybodys / "locked"
    assert [f.verdict for f in init_directory(path)] == [Verdict.RIGHT] * 2
    *_, found = check_directory(path, NOBODY)
    assert (found.about, found.verdict) == ("owner", Verdict.WRONG)
    assert f"chown -R {NOBODY.name}: {path}" in found.remedy
    # Root asks for itself where the service has nothing yet, or is root.
    assert owner_of(path) is None
    assert owner_of(anybodys / "none") is None


@ROOTS
def test_whom_no_folder_above_lets_in_may_not_write(anybodys: Path) -> None:
    path = anybodys / "closed" / "locked"
    list(init_directory(path, NOBODY))
    path.parent.chmod(0o700)
    os.chown(path.parent, 0, 0)
    *_, found = check_directory(path, NOBODY)
    assert found.about == "owner"


def test_a_user_without_a_name_has_a_number() -> None:
    assert Owner(54321, 54321).name == "54321"
