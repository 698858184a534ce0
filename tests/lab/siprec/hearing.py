"""Where in a recording a stream is heard: which of its frames, and to the sample."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tests.lab.parties import FRAME
from tests.lab.siprec.streams import Stream

_CHUNK = 5
"Frames that are looked for together: nothing else sounds like them."
_SURE = 0.35
"""How alike what is recorded and what was said must be. Two sounds mixed, equally loud,
are each 0.7 alike to the mixture; strange ones 0.1 at most.
"""


@dataclass(frozen=True)
class Heard:
    """A stream in one channel of a recording."""

    offset: int
    "Sample of the recording where the stream's frame 0 is, or would be."
    frames: frozenset[int]
    "Frames of it that are there."

    @property
    def seconds(self) -> float:
        return len(self.frames) / 50


def heard(channel: np.ndarray, stream: Stream) -> Heard | None:
    """Look for a stream in a channel of 8 kHz; None where nothing of it is there."""
    sound = samples_of(stream)
    for first in range(
        min(stream.said, default=0), max(stream.said, default=0) + 1, _CHUNK
    ):
        chunk = sound[first * FRAME : (first + _CHUNK) * FRAME]
        at, alike = _found(channel, chunk)
        if alike > _SURE:
            offset = at - first * FRAME
            there = (n for n in stream.said if _is_at(channel, sound, offset, n))
            return Heard(offset, frozenset(there))
    return None


def samples_of(stream: Stream) -> np.ndarray:
    """All that a stream has to say, full scale 1.0."""
    return np.frombuffer(stream.pcm16, dtype="<i2") / 32768.0


def silent(channel: np.ndarray, where: Heard, frames: Iterable[int]) -> bool:
    """Whether nothing is to be heard at all where these frames of a stream would be."""
    parts = (_part(channel, where.offset, n) for n in frames)
    return all(np.abs(part).max(initial=0.0) < 0.001 for part in parts)


def _part(channel: np.ndarray, offset: int, frame: int) -> np.ndarray:
    start = max(0, offset + frame * FRAME)
    return channel[start : max(0, offset + (frame + 1) * FRAME)]


def _found(channel: np.ndarray, chunk: np.ndarray) -> tuple[int, float]:
    """Where a chunk is, if anywhere, and how much alike what is there is to it."""
    size = 1 << (len(channel) + len(chunk)).bit_length()
    spectrum = np.fft.rfft(channel, size) * np.conj(np.fft.rfft(chunk, size))
    product = np.fft.irfft(spectrum, size)[: len(channel)]
    at = int(np.argmax(product))
    return at, _alike(channel[at : at + len(chunk)], chunk)


def _is_at(channel: np.ndarray, sound: np.ndarray, offset: int, frame: int) -> bool:
    wanted = sound[frame * FRAME : (frame + 1) * FRAME]
    return _alike(_part(channel, offset, frame), wanted) > _SURE


def _alike(there: np.ndarray, wanted: np.ndarray) -> float:
    if len(there) != len(wanted):
        return 0.0
    norm = float(np.linalg.norm(there) * np.linalg.norm(wanted))
    return float(np.dot(there, wanted)) / norm if norm else 0.0
