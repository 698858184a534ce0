"""How often a measure was how large: counts by upper bounds, as Prometheus has them."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Histogram:
    """Counts what is observed; its size is that of its bounds, whatever comes."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are upper ones, ascending; what is beyond the last counts too."""
        self.bounds = tuple(bounds)
        self.total = 0.0
        "Of all that was observed."
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many were no larger than each bound; the last one: of all."""
        return tuple(accumulate(self._counts))
