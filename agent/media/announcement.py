"""Playout of sounds in frames that fall due by the monotonic clock.

Every sample is sent, whatever the machine does: after a stall the schedule moves
and the RTP timestamps skip, but no frame of a notice is ever left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MAX_CATCH_UP: Final = 5
"Frames sent at once after a stall; a jitter buffer takes 100 ms, hardly more."
_NS_PER_SAMPLE: Final = 125_000


class Samples(Protocol):
    """One law's bytes of a sound; slices are bytes (as of `bytes` and `mmap`)."""

    def __getitem__(self, index: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Playable:
    """A sound in both laws, one byte per sample at 8000 Hz."""

    alaw: Samples
    ulaw: Samples
    samples: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet's worth of audio."""

    payload: bytes
    skip: int
    "Samples of silence before it that were not sent."


class Announcement:
    """One playout to one leg: sounds one after the other, once or for ever."""

    def __init__(
        self, sounds: Sequence[Playable], *, loop: bool, start_ns: int
    ) -> None:
        self._sounds = [sound for sound in sounds if sound.samples]
        self._loop = loop
        self._index = 0
        self._offset = 0
        self.due_ns = start_ns
        "When the next frame is due."
        self.finished = not self._sounds

    def take(self, now_ns: int, *, samples: int, ulaw: bool) -> list[Frame]:
        """The frames due by now, `samples` long each; the last is filled up.

        At most MAX_CATCH_UP: if more are due, time has been lost and is skipped.
        """
        frames: list[Frame] = []
        period = samples * _NS_PER_SAMPLE
        behind = (now_ns - self.due_ns) // period
        skip = 0
        if behind >= MAX_CATCH_UP:
            skip = behind * samples
            self.due_ns += behind * period
        while not self.finished and self.due_ns <= now_ns:
            frames.append(Frame(self._cut(samples, ulaw=ulaw), skip))
            skip = 0
            self.due_ns += period
        return frames

    def _cut(self, samples: int, *, ulaw: bool) -> bytes:
        payload = b""
        while (missing := samples - len(payload)) and not self.finished:
            sound = self._sounds[self._index]
            end = min(self._offset + missing, sound.samples)
            law = sound.ulaw if ulaw else sound.alaw
            payload += law[self._offset : end]
            self._offset = end
            if end == sound.samples:
                self._next_sound()
        silence = b"\xff" if ulaw else b"\xd5"
        return payload + silence * missing

    def _next_sound(self) -> None:
        self._index += 1
        self._offset = 0
        if self._index == len(self._sounds):
            self._index = 0
            self.finished = not self._loop
