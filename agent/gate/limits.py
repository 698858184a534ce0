"""How often each person may ask, and when somebody must hear of it.

Counted over a sliding hour, in memory: a gate that starts anew has forgotten what was
asked before. The audit log has not, and its reports count from there.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HOUR: Final = 3600.0
MAX_PERSONS: Final = 10_000
"Far above any roster; whoever is idle for an hour is forgotten anyway."


class Counted(StrEnum):
    """What is counted apart."""

    RELEASES = "releases"
    FINDS = "finds"
    AUDITS = "audits"
    "Readings of the audit log: none costs more work."
    DENIALS = "denials"
    "Tries that were refused: ids that are guessed show here."


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one hour."""

    refuse: int
    "So many are answered; the next is refused."
    alarm: int
    "So many raise an alarm, once until they are fewer again."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one more means."""

    refused: bool
    alarm: bool
    count: int
    "Of the last hour, with this one unless it is refused."


@dataclass(slots=True)
class _Window:
    times: deque[float] = field(default_factory=deque)
    alarmed: bool = False


class Limits:
    """Counts by person; `now` is monotonic seconds."""

    def __init__(self, limits: dict[Counted, Limit]) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, Counted], _Window] = {}

    def full(self, person: str, what: Counted, now: float) -> bool:
        """Whether one more would be refused; nothing is counted."""
        return len(self._window(person, what, now).times) >= self._limits[what].refuse

    def take(self, person: str, what: Counted, now: float) -> Verdict:
        """Count one more, unless it is refused."""
        limit = self._limits[what]
        window = self._window(person, what, now)
        refused = len(window.times) >= limit.refuse
        if not refused:
            window.times.append(now)
        count = len(window.times)
        alarm = count >= limit.alarm and not window.alarmed
        window.alarmed = count >= limit.alarm
        return Verdict(refused, alarm, count)

    def _window(self, person: str, what: Counted, now: float) -> _Window:
        key = (person, what)
        if key not in self._windows and len(self._windows) >= MAX_PERSONS:
            self._forget(now)
        window = self._windows.setdefault(key, _Window())
        while window.times and window.times[0] <= now - HOUR:
            window.times.popleft()
        if len(window.times) < self._limits[what].alarm:
            window.alarmed = False
        return window

    def _forget(self, now: float) -> None:
        idle = [
            key
            for key, window in self._windows.items()
            if not window.times or window.times[-1] <= now - HOUR
        ]
        for key in idle:
            del self._windows[key]
