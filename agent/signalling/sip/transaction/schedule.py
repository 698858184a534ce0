"""The deadlines of many transactions, and the first of them."""

import heapq
from typing import Final

_SLACK: Final = 64
"Stale entries that are never worth a clean-up."


class Schedule:
    """One deadline per key, in a heap that forgets lazily.

    A deadline that moves later, as nearly all do, costs nothing until the old one
    comes up.
    """

    def __init__(self) -> None:
        self._deadlines: dict[str, float] = {}
        self._queued: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: str, deadline: float | None) -> None:
        """Replace the deadline of `key`; None takes it away."""
        if deadline is None:
            self._deadlines.pop(key, None)
            return
        self._deadlines[key] = deadline
        if deadline < self._queued.get(key, float("inf")):
            self._push(key, deadline)

    def first(self) -> float | None:
        """The earliest deadline."""
        heap = self._heap
        while heap:
            at, key = heap[0]
            deadline = self._deadlines.get(key)
            if deadline == at:
                return at
            heapq.heappop(heap)
            if self._queued.get(key) == at:
                del self._queued[key]
                if deadline is not None:
                    self._push(key, deadline)
        return None

    def pop_due(self, now: float) -> str | None:
        """Take away and return the key of the earliest deadline, if it is due."""
        first = self.first()
        if first is None or first > now:
            return None
        _, key = heapq.heappop(self._heap)
        del self._queued[key], self._deadlines[key]
        return key

    def _push(self, key: str, deadline: float) -> None:
        self._queued[key] = deadline
        heapq.heappush(self._heap, (deadline, key))
        if len(self._heap) > 2 * len(self._deadlines) + _SLACK:
            self._queued = self._deadlines.copy()
            self._heap = [(at, name) for name, at in self._queued.items()]
            heapq.heapify(self._heap)
