from pathlib import Path

import pytest

from agent.cli.archive.common import AskError
from tests.access.site import DAY
from tests.cli.archive.conftest import Desktop


def object_of(desktop: Desktop, pattern: str) -> Path:
    [path] = desktop.site.root.rglob(pattern)
    return path


def test_a_day_and_a_months_index_that_are_whole(
    desktop: Desktop, capsys: pytest.CaptureFixture[str]
) -> None:
    desktop.site.record()
    assert desktop("verify", "--date", DAY) == 0
    assert f"storage[0] {DAY}: 1 recordings, whole" in capsys.readouterr().out
    assert desktop("verify", "--index", "2026-11") == 0
    shown = capsys.readouterr().out
    assert "index 2026-11: 1 recordings, 1 compared by number, whole" in shown


def test_what_was_altered_or_removed_is_named(
    desktop: Desktop, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = desktop.site.record()
    audio = object_of(desktop, f"locked/**/{segment.id}.wav.age")
    audio.chmod(0o600)
    *rest, last = audio.read_bytes()
    audio.write_bytes(bytes([*rest, last ^ 1]))
    object_of(desktop, f"state/**/caller/*/{segment.id}").unlink()
    assert desktop("verify", "--from", "2026-11-22", "--to", DAY) == 1
    shown = capsys.readouterr().out
    assert "2026-11-22: 0 recordings, whole" in shown
    assert "NOT WHOLE" in shown
    assert f"object-altered {segment.id}" in shown
    assert desktop("verify", "--from", DAY, "--fast") == 0
    assert desktop("verify", "--index", "2026-11") == 1
    assert f"index-absent {segment.id} caller" in capsys.readouterr().out


def test_a_window_or_month_that_is_none(desktop: Desktop) -> None:
    with pytest.raises(AskError, match="ends before"):
        desktop("verify", "--from", DAY, "--to", "2026-11-22")
    with pytest.raises(AskError, match="month"):
        desktop("verify", "--index", "2026-13")
