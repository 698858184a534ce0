"""Playout of sounds in frames that fall due by the monotonic clock.

Every sample is sent, whatever the machine does: after a stall the schedule moves
and the RTP timestamps skip, but no frame of a notice is ever left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.media.playable import TICKS, Playable

MAX_CATCH_UP: Final = 5
"Frames sent at once after a stall; a jitter buffer takes 100 ms, hardly more."
_NS_PER_TICK: Final = 125_000
_SILENCE: Final = {"PCMA": b"\xd5", "PCMU": b"\xff", "G722": b"\xff"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet's worth of audio; ticks are of 8000 a second."""

    payload: bytes
    ticks: int
    skip: int
    "Ticks of silence before it that were not sent."


class Announcement:
    """One playout to one leg: sounds one after the other, once or for ever.

    The codec may change from frame to frame: it goes on where it was.
    """

    def __init__(
        self, sounds: Sequence[Playable], *, loop: bool, start_ns: int
    ) -> None:
        self._sounds = [
            sound
            for sound in sounds
            if any(encoding.ticks for encoding in sound.values())
        ]
        self._loop = loop
        self._index = 0
        self._offset = 0
        "Ticks of the present sound that have been sent."
        self.due_ns = start_ns
        "When the next frame is due."
        self.finished = not self._sounds

    def can_play(self, codec: str) -> bool:
        """Whether every sound is there in a codec."""
        return all(codec in sound for sound in self._sounds)

    def take(self, now_ns: int, *, ticks: int, codec: str) -> list[Frame]:
        """The frames due by now, `ticks` long each; the last is filled up.

        What comes in packets is sent packet by packet, whatever `ticks` says. At most
        MAX_CATCH_UP: if more are due, time has been lost and is skipped. The codec
        must be one that can be played.
        """
        frames: list[Frame] = []
        skip = 0
        while not self.finished and self.due_ns <= now_ns:
            length = TICKS if self._sounds[self._index][codec].whole else ticks
            period = length * _NS_PER_TICK
            behind = (now_ns - self.due_ns) // period
            if not frames and behind >= MAX_CATCH_UP:
                skip = behind * length
                self.due_ns += behind * period
            if payload := self._cut(length, codec):
                frames.append(Frame(payload, length, skip))
                skip = 0
                self.due_ns += period
        return frames

    def _cut(self, length: int, codec: str) -> bytes:
        """`length` ticks of audio; nothing if another codec has played it all."""
        payload, missing = b"", length
        while missing and not self.finished:
            encoding = self._sounds[self._index][codec]
            piece, ticks = encoding.cut(self._offset, missing)
            payload += piece
            missing -= ticks
            self._offset += ticks
            if self._offset >= encoding.ticks:
                self._next_sound()
        return payload + _SILENCE.get(codec, b"") * (missing if payload else 0)

    def _next_sound(self) -> None:
        self._index += 1
        self._offset = 0
        if self._index == len(self._sounds):
            self._index = 0
            self.finished = not self._loop
