"""Cue points: moments of a recording that players show, in a WAV file or as chapters.

WAV: `cue ` and `LIST adtl` chunks (Multimedia Programming Interface 1.0), exact to the
sample, which ffmpeg and mpv show as chapters too, and VLC does not. FLAC and Opus:
chapter comments (CHAPTER001=hh:mm:ss.sss, CHAPTER001NAME=…), which all three show,
exact to the millisecond. A cue sheet would be exact in
FLAC too, but players make tracks of its parts and stop between them.

Labels say what happened, never to whom.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

MAX_CUES: Final = 500
"The first so many: their comments fit one Ogg page. The manifest's gaps are complete."
MAX_LABEL: Final = 80
"Characters."

_POINT: Final = Struct("<II4sIII")
_NUMBER: Final = Struct("<I")
_CHUNK: Final = Struct("<4sI")


class Cue(NamedTuple):
    """A moment, and what happened then."""

    position: int
    "In samples from the beginning."
    label: str


def cue_points(
    moments: Iterable[tuple[int, str]], sample_rate: int, samples: int
) -> tuple[Cue, ...]:
    """Cues of (nanoseconds from the beginning, label), in order, one per position.

    What lies before the beginning is moved to it; at the end or after it there is
    nothing to be heard, and no cue.
    """
    labels: dict[int, dict[str, None]] = {}
    for at_ns, label in moments:
        position = max(at_ns, 0) * sample_rate // 1_000_000_000
        if position < samples:
            labels.setdefault(position, {})[label] = None
    return tuple(
        Cue(position, ", ".join(labels[position])[:MAX_LABEL])
        for position in sorted(labels)[:MAX_CUES]
    )


def wav_cues(cues: Sequence[Cue]) -> bytes:
    """The chunks of a WAV file's cues; nothing if there are none."""
    if not cues:
        return b""
    points = _NUMBER.pack(len(cues))
    labels = b"adtl"
    for number, (position, label) in enumerate(cues, 1):
        points += _POINT.pack(number, position, b"data", 0, 0, position)
        labels += _chunk(b"labl", _NUMBER.pack(number) + label.encode() + b"\0")
    return _chunk(b"cue ", points) + _chunk(b"LIST", labels)


def chapters(cues: Sequence[Cue], sample_rate: int) -> list[str]:
    """The chapter comments of a FLAC or Opus file."""
    found = []
    for number, (position, label) in enumerate(cues, 1):
        seconds, milliseconds = divmod(position * 1000 // sample_rate, 1000)
        hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
        name = f"CHAPTER{number:03}"
        found += [
            f"{name}={hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}",
            f"{name}NAME={label}",
        ]
    return found


def _chunk(name: bytes, body: bytes) -> bytes:
    return _CHUNK.pack(name, len(body)) + body + bytes(len(body) % 2)
