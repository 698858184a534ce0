"""Which worker has which call: all legs of a call share one."""

from collections import Counter
from collections.abc import Sequence


class Placement:
    """Calls by the index of their worker, for as long as they have legs."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[int, set[str]]] = {}
        self._load: Counter[int] = Counter()
        "Legs of each worker."

    def worker_of(self, call: str) -> int | None:
        """The worker that has the legs of a call; None if it has no leg."""
        found = self._calls.get(call)
        return None if found is None else found[0]

    def legs_of(self, call: str) -> tuple[str, ...]:
        """The legs of a call, in no order that means anything."""
        found = self._calls.get(call)
        return () if found is None else tuple(sorted(found[1]))

    def least_loaded(self, workers: Sequence[int]) -> int:
        """Of some workers the one with the fewest legs."""
        return min(workers, key=self._load.__getitem__)

    def add(self, call: str, leg: str, worker: int) -> None:
        """A leg of a call is in a worker; the call's others are there as well."""
        self._calls.setdefault(call, (worker, set()))[1].add(leg)
        self._load[worker] += 1

    def remove(self, call: str, leg: str) -> None:
        """A leg is gone, or another call's."""
        worker, legs = self._calls[call]
        legs.discard(leg)
        self._load[worker] -= 1
        if not legs:
            del self._calls[call]

    def clear(self) -> None:
        """Forget everything."""
        self._calls.clear()
        self._load.clear()
