"""An announcement that is being sent to one leg, and how far it came."""

from dataclasses import dataclass
from typing import Final

from agent.media.announcement import Announcement

TICKS_PER_MS: Final = 8
"Of the sounds that are played, whatever the codec's clock."
RATE: Final = 1000 * TICKS_PER_MS


@dataclass(frozen=True, slots=True, eq=False)
class PlayoutOrigin:
    """What stands for a playout with the sender, which it switches to."""

    clock_rate: int


class Playout:
    """One playout."""

    def __init__(self, token: int, announcement: Announcement) -> None:
        self.token = token
        self.announcement = announcement
        self.frames = 0
        self.ticks = 0
        self.started_ns = 0
        self.ended_ns = 0
        self.failed = False
        "Whether a frame could not be made or sent: then it was not sent as a whole."
        self._origin = PlayoutOrigin(RATE)

    def origin(self, clock_rate: int) -> PlayoutOrigin:
        """Its origin by that clock: a new one if the clock has changed."""
        if self._origin.clock_rate != clock_rate:
            self._origin = PlayoutOrigin(clock_rate)
        return self._origin

    @property
    def sent_ms(self) -> int:
        """Milliseconds of audio that were sent."""
        return self.ticks // TICKS_PER_MS
