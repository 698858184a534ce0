"""What a run of the sweep did, and what is left to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from agent.common.moments import time_text


@dataclass(frozen=True, slots=True)
class Left:
    """Why an erasure is not complete."""

    day: date
    place: str
    "Which storage."
    reason: str
    locked: bool = False
    "Whether nothing is left but ciphertext that no key opens, until its lock ends."

    def to_words(self) -> Mapping[str, str]:
        """For reports, answers and logs."""
        return {
            "day": self.day.isoformat(),
            "place": self.place,
            "reason": self.reason,
        }


@dataclass(slots=True)
class SweepReport:
    """What one run did; no personal data."""

    erased: int = 0
    "Recordings that nothing opens any more since this run."
    kept: int = 0
    "Recordings whose time is over and that something keeps."
    marked: list[date] = field(default_factory=list)
    complete: list[date] = field(default_factory=list)
    "Days of which every storage has confirmed that nothing is left."
    left: list[Left] = field(default_factory=list)
    "What is not complete, and why; the next run tries again."
    late: list[date] = field(default_factory=list)
    "Days that should have been erased a day ago: a run was missed, or fails."
    strange: int = 0
    "Objects whose names are none: left alone."
    next_ns: int | None = None
    "When a run will have something to do that has none now."

    def to_words(self) -> dict[str, object]:
        """For people and programs: JSON."""
        return {
            "erased": self.erased,
            "kept": self.kept,
            "marked": [day.isoformat() for day in self.marked],
            "complete": [day.isoformat() for day in self.complete],
            "incomplete": [one.to_words() for one in self.left],
            "late": [day.isoformat() for day in self.late],
            "strange_objects": self.strange,
            "next": None if self.next_ns is None else time_text(self.next_ns),
        }
