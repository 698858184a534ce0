"""When to try again: for as long as it takes, ever less often."""

import random
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 300.0
"Seconds. A day without storage costs 300 attempts, and ends within five minutes."


class Backoff:
    """Delays that double, with jitter, so that many hosts do not come back at once."""

    def __init__(
        self, rng: random.Random, *, first: float = FIRST, longest: float = LONGEST
    ) -> None:
        self._rng = rng
        self._first = first
        self._longest = longest
        self._failures = 0

    def failed(self) -> float:
        """Seconds to wait after one more failure."""
        # 2**20 is far beyond the longest delay, and a float.
        step = self._first * 2.0 ** min(self._failures, 20)
        self._failures += 1
        return min(step, self._longest) * self._rng.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures
