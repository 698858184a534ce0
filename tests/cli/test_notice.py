import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.cli import sound_files
from agent.cli.notice import NoticeError
from agent.cli.sound_files import SoundFileError, read_sound
from agent.cli.waveform import BARS, sparkline
from agent.media.sounds import load_notice


def words(rate: int, loudness: float) -> np.ndarray:
    """Two seconds of something like speech, a second of silence on either side."""
    time = np.arange(2 * rate) / rate
    said = np.sin(2 * np.pi * 500 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2
    return np.concatenate([np.zeros(rate), said * loudness, np.zeros(rate)])


@pytest.mark.parametrize(
    ("name", "rate"), [("fi.flac", 44_100), ("fi.ogg", 48_000), ("fi.aiff", 16_000)]
)
def test_any_audio_becomes_a_fit_notice(
    name: str,
    rate: int,
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / name
    stereo = np.stack([words(rate, 0.02)] * 2, axis=1)
    soundfile.write(source, stereo, rate)
    out = tmp_path / "notices"
    assert run("notice", "convert", source, "--output", out) == 0
    sound = load_notice(out / "fi.wav")
    assert 2300 <= sound.duration_ms <= 2500
    assert sound.language == "fi"
    assert (out / "fi.wav").stat().st_mode & 0o777 == 0o644
    shown = capsys.readouterr().out
    assert "-26.0 dBov" in shown
    assert any(bar in shown for bar in BARS[4:])
    assert run("notice", "check", out / "fi.wav") == 0
    with pytest.raises(NoticeError, match="--force"):
        run("notice", "convert", source, "--output", out)
    assert run("notice", "convert", source, "--output", out, "--force") == 0


def test_what_is_not_fit_is_named(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    faint = tmp_path / "faint.wav"
    soundfile.write(faint, words(8000, 0.005), 8000, subtype="PCM_16")
    wide = tmp_path / "wide.wav"
    soundfile.write(wide, words(16_000, 0.1), 16_000, subtype="PCM_16")
    missing = tmp_path / "missing.wav"
    assert run("notice", "check", faint, wide, missing) == 1
    shown = capsys.readouterr().out
    assert "too faint" in shown
    assert "16000 Hz" in shown
    assert f"notice convert {wide}" in shown
    assert "No such file" in shown
    assert run("notice", "convert", faint, "-o", tmp_path / "out") == 0


def test_a_plot_is_drawn_where_it_can_be(
    tmp_path: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fi.wav"
    soundfile.write(path, words(8000, 0.2), 8000, subtype="PCM_16")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NoticeError, match="matplotlib"):
        run("notice", "check", path, "--plot")


@pytest.mark.parametrize("fault", ["nothing", "text", "long", "infinite", "channels"])
def test_files_that_are_no_use(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.wav"
    monkeypatch.setattr(sound_files, "MAX_SECONDS", 2)
    if fault == "text":
        path.write_text("no sound")
    elif fault == "long":
        soundfile.write(path, np.zeros(3 * 8000), 8000)
    elif fault == "infinite":
        soundfile.write(path, np.full(80, np.inf), 8000, subtype="FLOAT")
    elif fault == "channels":
        soundfile.write(path, np.zeros((80, 9)), 8000)
    else:
        soundfile.write(path, np.zeros(0), 8000)
    with pytest.raises(SoundFileError):
        read_sound(path)
    with pytest.raises(SoundFileError):
        read_sound(tmp_path / "absent.wav")


def test_a_sparkline_is_as_wide_as_it_is_told() -> None:
    samples = np.concatenate([np.zeros(800), np.ones(800)])
    assert sparkline(samples, 10) == "     █████"
    assert sparkline(np.zeros(0), 4) == "    "
    assert len(sparkline(samples[:3], 60)) == 60
