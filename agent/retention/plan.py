"""What a sweep would do and why: the dry run is this, and the sweep begins with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from agent.common.moments import time_text
from agent.retention.marks import Mark
from agent.retention.policy import DAY_NS, Policy

MARK_AHEAD_NS: Final = DAY_NS
"A day is marked on its anniversary, so that it can go as the next day begins."
FORGET_AFTER_NS: Final = DAY_NS + DAY_NS // 24
"""Whoever has seen a record before it went, and holds it now, must be refused: so long
its documents of state say that it is erased. Then it is another day, also after the one
of 25 hours, and the gate has read the tombstone's name (agent.archive.tombstones)."""


class Step(StrEnum):
    """What is next for a day."""

    MARK = "mark"
    WAIT = "wait"
    ERASE = "erase"
    FORGET = "forget"
    "Nothing is left of it but documents of state, which go a day later."
    KEEP = "keep"
    "Everything that is left of it is kept longer."


@dataclass(frozen=True, slots=True)
class DayPlan:
    """One day whose time is over, or is within a day."""

    day: date
    step: Step
    at_ns: int
    "When the step after this one may be taken."
    late: bool
    "It should have been a day ago."
    erase: tuple[str, ...]
    kept: Mapping[str, tuple[str, ...]]
    "Why each is kept: words among `hold`, `restriction`, `request`."
    generations: tuple[int, ...] = ()
    "Of the day's key, still in the keyring."
    strange: int = 0
    "Objects whose names are none."
    mark: Mark | None = field(default=None, repr=False)

    def to_words(self, policy: Policy) -> dict[str, object]:
        """For people and programs: JSON without a personal datum."""
        return {
            "day": self.day.isoformat(),
            "expires": policy.expires_on(self.day).isoformat(),
            "erasable_from": time_text(self.at_ns),
            "step": self.step,
            "late": self.late,
            "erase": list(self.erase),
            "kept": {one: list(words) for one, words in self.kept.items()},
            "keys": list(self.generations),
            "strange_objects": self.strange,
        }


def plan_day(
    day: date,
    ids: Mapping[str, tuple[str, ...]],
    policy: Policy,
    now_ns: int,
    *,
    wait_ns: int,
    mark: Mark | None = None,
    generations: tuple[int, ...] = (),
    swept: bool = False,
    strange: int = 0,
) -> DayPlan:
    """Judge one day.

    `ids` are its recordings, each with the words for why it is kept; `wait_ns` is how
    long a mark stands before anything is erased; `swept` says that the day was
    swept before, and what is left was kept then.
    """
    told = frozenset(mark.told if mark is not None else ())
    kept = {one: words for one, words in sorted(ids.items()) if words}
    erase = tuple(sorted({one for one, words in ids.items() if not words} - told))
    at_ns = policy.erasable_from(day)
    late = False
    if mark is not None and not mark.complete and mark.marked_ns > now_ns:
        # This host's clock was ahead when it marked: nobody waits until then.
        step = Step.MARK
        erase = tuple(sorted({*erase, *mark.ids}))
        late = policy.late(day, now_ns)
    elif mark is not None and not mark.complete:
        at_ns = max(at_ns, mark.marked_ns + wait_ns)
        step = Step.ERASE if now_ns >= at_ns else Step.WAIT
        late = now_ns >= at_ns + DAY_NS
    elif erase or generations:
        step = Step.MARK
        late = not swept and policy.late(day, now_ns)
    elif mark is not None:
        step = Step.FORGET
        at_ns = mark.complete_ns + FORGET_AFTER_NS
    else:
        step = Step.KEEP
    return DayPlan(
        day=day, step=step, at_ns=at_ns, late=late, erase=erase,
        kept=kept, generations=generations, strange=strange, mark=mark,
    )  # fmt: skip
