"""For how long calls that are over have had no outcome, sans-IO."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 60.0
"Seconds in which a call's journals are closed and its row is, however busy the disk."


@dataclass(frozen=True, slots=True)
class Found:
    """What has changed since the last look."""

    missing: tuple[str, ...]
    "Calls that have had none for too long."
    known: tuple[str, ...]
    "Of those that were told as missing: they have one now."


class MissingOutcomes:
    """Knows as many calls as are without an outcome now, and no more."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def look(self, calls: Iterable[str], now: float) -> Found:
        """`calls` are over and have no outcome; `now` is monotonic, in seconds."""
        self._since = {call: self._since.get(call, now) for call in calls}
        known = self._told - self._since.keys()
        late = {call for call, since in self._since.items() if now - since >= PATIENCE}
        missing = late - self._told
        self._told = late
        return Found(tuple(sorted(missing)), tuple(sorted(known)))
