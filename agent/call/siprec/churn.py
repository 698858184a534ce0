"""How often a recording session may begin another segment: sans-IO.

Each segment has a key pair, an envelope, files and objects of its own, and whatever a
client tells can begin one. A client that tells other people with every message costs
the host no more than a few segments a second, and none of its audio: what is said goes
into one segment that is sealed to no officer, because its people change all the while.
"""

from enum import Enum, auto
from typing import Final

from agent.call.siprec.state import ChurnState

BURST: Final = 60
"Segments at once: a conference in which everybody comes and goes."
EVERY: Final = 2.0
"Seconds for one more; calls of a line that follow each other are longer."
LENGTH: Final = 10.0
"Seconds of a segment in which people may change."


class Pace(Enum):
    """What a segment that is to begin now may be."""

    FREE = auto()
    CROWDED = auto()
    "One of nobody's, for LENGTH seconds."
    WAIT = auto()
    "None at all yet: the client ends them as fast as they begin."


class Churn:
    """Counts the segments of one recording session."""

    def __init__(self) -> None:
        self._left = float(2 * BURST)
        "The first half of it for segments of CROWDED."
        self._at: float | None = None

    @property
    def state(self) -> ChurnState:
        """All of it, for `restore` in another process."""
        return ChurnState(left=self._left, at=self._at)

    def restore(self, state: ChurnState) -> None:
        """Go on where another one stood."""
        self._left, self._at = state.left, state.at

    def take(self, now: float) -> Pace:
        """One is to begin; it counts, unless it has to wait."""
        if self._at is not None:
            gained = max(now - self._at, 0.0) / EVERY
            self._left = min(self._left + gained, 2.0 * BURST)
        self._at = now
        if self._left < 1:
            return Pace.WAIT
        pace = Pace.FREE if self._left > BURST else Pace.CROWDED
        self._left -= 1
        return pace
