"""Speech for the demo and the sample notices: espeak-ng, brought to 8 kHz."""

import io
import shutil
import subprocess
import wave

import numpy as np
import numpy.typing as npt

from agent.common.errors import AgentError

RATE = 8000
"Samples a second of telephone audio."


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
    return _to_telephone(samples, rate)


def wav_file(samples: bytes) -> bytes:
    """A WAV file of 16-bit, 8 kHz, mono samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return buffer.getvalue()


def _to_telephone(samples: npt.NDArray[np.float64], rate: int) -> bytes:
    """Low-pass to the telephone band, resample, bring to half of full scale."""
    taps = np.arange(-64, 65)
    kernel = np.sinc(2 * 3400 / rate * taps) * np.hamming(len(taps))
    smooth = np.convolve(samples, kernel / kernel.sum(), mode="same")
    count = len(smooth) * RATE // rate
    positions = np.arange(count) * (rate / RATE)
    resampled = np.interp(positions, np.arange(len(smooth)), smooth)
    peak = np.abs(resampled).max() or 1.0
    return bytes((resampled * (16000 / peak)).astype("<i2").tobytes())
