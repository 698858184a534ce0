"""What waits for a disk or a storage that may be away, the oldest first: sans-IO.

A failure is an outage until somebody else succeeds: all wait, ever longer, and one at
a time tries. Who was passed over in the outage goes back to its place when it is over;
who failed where others succeeded twice stands aside and holds nobody up.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_DOUBTS: Final = 2
"Outages that ended with somebody else's success: so many are one's own fault."

Delay = Callable[[int], float]
"Seconds to wait after so many failures in a row, 1 or more."


@dataclass(order=True, slots=True)
class _Waiting:
    age: int
    name: str
    doubts: int = 0
    faults: int = 0


class WaitingLine:
    """Names by age. Whoever takes one with `next` says how it went."""

    def __init__(self, *, outage: Delay, own: Delay) -> None:
        """`outage` delays all, `own` the one that fails by its own fault."""
        self._outage = outage
        self._own = own
        self._known: dict[str, _Waiting] = {}
        self._ready: list[_Waiting] = []
        self._passed_over: list[_Waiting] = []
        self._aside: list[tuple[float, _Waiting]] = []
        self._under_way = 0
        self._resume_at = 0.0
        self.failures = 0
        "Since somebody succeeded; 0 is no outage."

    def __len__(self) -> int:
        """All that is not done, what is under way too."""
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        """All of them, in the order in which they came."""
        return iter(self._known)

    def add(self, name: str, age: int) -> None:
        """Take up `name`, unless it is here; the lower its `age`, the sooner."""
        if name not in self._known:
            self._known[name] = _Waiting(age, name)
            heapq.heappush(self._ready, self._known[name])

    def next(self, now: float) -> str | None:
        """Who is to be tried now; None: nobody before `deadline`, `add` or a result."""
        while self._aside and self._aside[0][0] <= now:
            heapq.heappush(self._ready, heapq.heappop(self._aside)[1])
        if now < self._resume_at or (self.failures and self._under_way):
            return None
        if not self._ready:
            self._ready, self._passed_over = sorted(self._passed_over), []
        if not self._ready:
            return None
        self._under_way += 1
        return heapq.heappop(self._ready).name

    def deadline(self) -> float | None:
        """When `next` may have somebody again, if time alone can bring that about."""
        if self.failures and self._under_way:
            return None
        dues = [due for due, _ in self._aside[:1]]
        if self._ready or self._passed_over:
            dues.append(0.0)
        return max(self._resume_at, min(dues)) if dues else None

    def succeeded(self, name: str, now: float) -> bool:
        """It is done; whether an outage has ended by that."""
        del self._known[name]
        self._under_way -= 1
        over, self.failures, self._resume_at = self.failures > 0, 0, 0.0
        passed_over, self._passed_over = self._passed_over, []
        for one in passed_over:
            one.doubts += 1
            if one.doubts >= MAX_DOUBTS:
                self._stand_aside(one, now)
            else:
                heapq.heappush(self._ready, one)
        return over

    def failed(self, name: str, now: float, *, by_itself: bool) -> float:
        """It was not to be had; seconds until it may be tried again.

        `by_itself`: that is no outage, but this one's own fault.
        """
        self._under_way -= 1
        one = self._known[name]
        if by_itself:
            return self._stand_aside(one, now)
        if now >= self._resume_at:
            # Of several that fail at once only the first counts.
            self.failures += 1
            self._resume_at = now + self._outage(self.failures)
        self._passed_over.append(one)
        return self._resume_at - now

    def _stand_aside(self, one: _Waiting, now: float) -> float:
        one.faults += 1
        delay = self._own(one.faults)
        heapq.heappush(self._aside, (now + delay, one))
        return delay
