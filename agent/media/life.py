"""Whether a worker's loop goes round: sans-IO.

A worker gives a sign of life every `SIGN_SECONDS`. It is held against the main
process's own turns, and not against a clock: a main process that was held up itself
finds signs in its queue, and no worker hung.
"""

from typing import Final

SIGN_SECONDS: Final = 1.0
"Between two signs of a worker, and two turns of the main process."
MISSED: Final = 5
"Turns without a sign after which a worker is hung: its calls hear nothing meanwhile."


class Life:
    """What one worker has told of itself."""

    def __init__(self, now_ns: int) -> None:
        """It is alive at `now_ns`: it has just answered."""
        self.seen_ns = now_ns
        "CLOCK_MONOTONIC of its last sign."
        self.journal_lag = 0.0
        "Seconds for which the oldest of its journals' bytes has not been durable."
        self._missed = 0

    def sign(self, journal_lag: float, now_ns: int) -> None:
        """Its loop has gone round."""
        self.seen_ns = now_ns
        self.journal_lag = journal_lag
        self._missed = 0

    def turn(self) -> bool:
        """A turn of the main process is over; whether the worker is hung."""
        self._missed += 1
        return self._missed > MISSED
