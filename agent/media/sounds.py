"""Notice files: read once at start, refused there if they cannot be played."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.formats.codecs.g711 import (
    ALAW_TO_ULAW,
    ULAW_TO_ALAW,
    encode_alaw,
    encode_ulaw,
)
from agent.formats.container import ContainerError, SampleFormat, read_wav
from agent.media.sound import Sound

__all__ = ["MAX_SECONDS", "Sound", "SoundError", "load_notice"]

SAMPLE_RATE: Final = 8000
MAX_SECONDS: Final = 120
"No caller waits longer; and a wrong file is noticed."
_MAX_FILE: Final = 2 * SAMPLE_RATE * MAX_SECONDS + 64 * 1024
"Samples, and what other chunks a sound editor adds."


class SoundError(AgentError):
    """A notice file cannot be played."""

    hint = "Convert it: recording-agent notice convert FILE"


def load_notice(path: Path) -> Sound:
    """Read a WAV file: 8000 Hz, mono, 16-bit PCM, A-law or µ-law, at most 120 s.

    Raises SoundError if it is anything else, OSError if it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise SoundError(f"{path.name} is longer than {MAX_SECONDS} seconds.")
    try:
        encoding, rate, channels, samples = read_wav(data)
    except ContainerError as error:
        raise SoundError(f"{path.name} is no WAV file: {error}.") from error
    if rate != SAMPLE_RATE or channels != 1:
        raise SoundError(
            f"{path.name} has {rate} Hz and {channels} channels, not 8000 Hz and one."
        )
    pcma, pcmu = _both_laws(encoding, samples)
    if not pcma:
        raise SoundError(f"{path.name} is empty.")
    if len(pcma) > MAX_SECONDS * SAMPLE_RATE:
        raise SoundError(f"{path.name} is longer than {MAX_SECONDS} seconds.")
    digest = sha256(data).hexdigest()
    return Sound(
        # Two directories may both hold a fi.wav.
        name=f"{path.stem[:64]}-{digest[:16]}",
        sha256=digest,
        duration_ms=len(pcma) * 1000 // SAMPLE_RATE,
        pcma=pcma,
        pcmu=pcmu,
        language=path.stem,
    )


def _both_laws(encoding: SampleFormat, samples: bytes) -> tuple[bytes, bytes]:
    match encoding:
        case SampleFormat.ALAW:
            return samples, samples.translate(ALAW_TO_ULAW)
        case SampleFormat.ULAW:
            return samples.translate(ULAW_TO_ALAW), samples
        case SampleFormat.PCM16:
            return encode_alaw(samples), encode_ulaw(samples)
