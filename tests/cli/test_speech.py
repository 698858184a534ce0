import io
import shutil
import subprocess
import wave
from typing import Any

import numpy as np
import pytest

from agent.cli import speech
from agent.formats.active_level import active_level
from agent.formats.telephone_audio import LEVEL

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


@needs_espeak
def test_speech_is_telephone_audio_at_its_level() -> None:
    samples = np.frombuffer(speech.speak("Yksi kaksi.", voice="fi"), "<i2")
    assert 4000 < len(samples) < 40_000
    assert abs(active_level(samples / 32768, 8000).level - LEVEL) < 0.5
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    hertz = np.fft.rfftfreq(len(samples), 1 / 8000)
    assert spectrum[hertz > 3800].sum() < spectrum.sum() * 0.02


@needs_espeak
def test_a_voice_nobody_has() -> None:
    with pytest.raises(speech.SpeechError, match="voice"):
        speech.speak("x", voice="klingon-nonsense")


def test_without_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(speech.SpeechError) as caught:
        speech.speak("x", voice="fi")
    assert "espeak-ng" in caught.value.hint


def test_silence_stays_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(bytes(44100))

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], 0, buffer.getvalue(), b"")

    monkeypatch.setattr(shutil, "which", lambda _: "/bin/true")
    monkeypatch.setattr(subprocess, "run", run)
    assert speech.speak("x", voice="fi") == bytes(16000)


def test_a_wav_file_reads_back() -> None:
    with wave.open(io.BytesIO(speech.wav_file(b"\1\2" * 80))) as file:
        assert file.getframerate() == 8000
        assert file.getnframes() == 80
        assert file.readframes(80) == b"\1\2" * 80
