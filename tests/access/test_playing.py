from pathlib import Path

import pytest

from agent.access import playing
from agent.access.playing import PlayError, play, player_for

AUDIO = b"RIFF" + bytes(300_000)


def program(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory in which programs are looked for."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def test_the_first_player_there_is(path: Path) -> None:
    program(path, "aplay", "")
    assert player_for("wav") == [str(path / "aplay"), "-q", "-"]
    with pytest.raises(PlayError, match="plays opus") as caught:
        player_for("opus")
    assert "--to -" in caught.value.hint
    program(path, "mpv", "")
    assert player_for("opus")[0] == str(path / "mpv")
    program(path, "ffplay", "")
    assert player_for("wav")[0] == str(path / "ffplay")


def test_the_configured_player_comes_first(path: Path) -> None:
    program(path, "ffplay", "")
    program(path, "mine", "")
    assert player_for("flac", ("mine", "-x")) == [str(path / "mine"), "-x"]
    with pytest.raises(PlayError, match="configured player"):
        player_for("flac", ("other",))


def test_what_is_played_goes_through_a_pipe(path: Path, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    player = program(path, "player", f"exec /bin/cat > {heard}")
    before = set(tmp_path.rglob("*"))
    play(AUDIO, [str(player)])
    assert heard.read_bytes() == AUDIO
    assert set(tmp_path.rglob("*")) - before == {heard}


def test_a_player_that_is_closed_early_is_no_failure(path: Path) -> None:
    play(AUDIO, [str(program(path, "closed", "exit 0"))])
    play(AUDIO, [str(program(path, "killed", "kill -TERM $$"))])


def test_a_player_that_fails(path: Path) -> None:
    with pytest.raises(PlayError, match="ended with 3"):
        play(AUDIO, [str(program(path, "fails", "exit 3"))])
    with pytest.raises(PlayError, match="cannot be run"):
        play(AUDIO, [str(path / "none")])


def test_no_argument_names_a_file() -> None:
    for arguments in playing.PLAYERS.values():
        assert arguments[-1] == "-"
        assert not any(Path(argument).is_absolute() for argument in arguments)
