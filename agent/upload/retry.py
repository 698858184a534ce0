"""When to try again: for as long as it takes, ever less often."""

import random
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 300.0
"Seconds. A day without storage costs 300 attempts, and ends within five minutes."


def delay_after(failures: int, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row, 1 or more.

    They double, with jitter, so that many hosts do not come back at once.
    """
    # 2**20 is far beyond the longest delay, and a float.
    step = FIRST * 2.0 ** min(failures - 1, 20)
    return min(step, LONGEST) * rng.uniform(0.5, 1.0)
