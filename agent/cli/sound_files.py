"""Audio files of any kind that libsndfile reads, as one channel of samples."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

from agent.common.errors import AgentError
from agent.formats.telephone_audio import mono

Floats = npt.NDArray[np.float64]

MAX_SECONDS: Final = 600
"Of a file that is no notice yet: silence may be trimmed from it."
MAX_RATE: Final = 192_000
MAX_CHANNELS: Final = 8


class SoundFileError(AgentError):
    """An audio file cannot be used."""

    hint = "Give WAV, FLAC, Ogg, MP3 or AIFF, of at most ten minutes."


def read_sound(path: Path) -> tuple[Floats, int]:
    """Samples of -1 to 1, all channels in one, and their rate. Raises SoundFileError.

    The file's own words on its length are believed only as far as it bears them out.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate, channels = file.samplerate, file.channels
            if not (0 < rate <= MAX_RATE and 0 < channels <= MAX_CHANNELS):
                raise SoundFileError(
                    f"{path.name} has {rate} Hz and {channels} channels."
                )
            samples = file.read(MAX_SECONDS * rate + 1, "float64", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise SoundFileError(f"{path} cannot be read: {error}.") from error
    if len(samples) > MAX_SECONDS * rate:
        raise SoundFileError(f"{path.name} is longer than {MAX_SECONDS} s.")
    if not len(samples):
        raise SoundFileError(f"{path.name} is empty.")
    if not np.isfinite(samples).all():
        raise SoundFileError(f"{path.name} has samples that are no numbers.")
    return mono(samples), rate
