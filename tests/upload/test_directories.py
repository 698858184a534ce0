from pathlib import Path

from agent.upload.bucket_properties import Verdict
from agent.upload.directories import check_directory, init_directory


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
