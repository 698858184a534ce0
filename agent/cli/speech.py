"""Speech for the demo and the sample notices: espeak-ng, as telephones have it."""

import io
import shutil
import subprocess
import wave

import numpy as np

from agent.common.errors import AgentError
from agent.formats.telephone_audio import RATE, levelled, to_telephone


class SpeechError(AgentError):
    """No speech can be made."""

    hint = "Install the package espeak-ng."


def speak(text: str, *, voice: str, speed: int = 175, pitch: int = 50) -> bytes:
    """Speak `text`: 16-bit little-endian samples, 8 kHz, mono.

    Raises SpeechError if espeak-ng is absent or does not know the voice.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise SpeechError("espeak-ng is not installed.")
    command = [program, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout"]
    done = subprocess.run(  # noqa: S603 - a fixed program, no shell
        command, input=text.encode(), capture_output=True, check=False, timeout=60
    )
    if done.returncode != 0 or not done.stdout:
        raise SpeechError(f"espeak-ng cannot speak with voice {voice}.")
    # espeak-ng does not know the length when it writes the header.
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate = file.getframerate()
    samples = np.frombuffer(done.stdout[44:], "<i2").astype(np.float64)
    heard = levelled(to_telephone(samples / 32768, rate), RATE)
    return bytes(np.round(heard * 32767).astype("<i2").tobytes())


def wav_file(samples: bytes) -> bytes:
    """A WAV file of 16-bit, 8 kHz, mono samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return buffer.getvalue()
