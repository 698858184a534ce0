"""How long a call has been recorded: its segments together, less holds and pauses.

Or for how long it has not been, and should have been.
"""

from typing import Final

_NS: Final = 1_000_000_000


class RecordedTime:
    """Adds up the spans between `begin` and `end`; times are of CLOCK_MONOTONIC."""

    def __init__(self, total_ns: int = 0, since_ns: int | None = None) -> None:
        """`total_ns` of spans that are over, and when the one that is on began."""
        self._total_ns = total_ns
        self._since_ns = since_ns

    @property
    def state(self) -> tuple[int, int | None]:
        """The arguments that make one which goes on where this one stands."""
        return self._total_ns, self._since_ns

    def begin(self, now_ns: int) -> None:
        """It is recorded from now on."""
        if self._since_ns is None:
            self._since_ns = now_ns

    def end(self, now_ns: int) -> None:
        """It is not recorded any more."""
        self._total_ns, self._since_ns = self._at(now_ns), None

    def seconds(self, now_ns: int) -> float:
        """All of it up to now."""
        return self._at(now_ns) / _NS

    def _at(self, now_ns: int) -> int:
        if self._since_ns is None:
            return self._total_ns
        return self._total_ns + max(0, now_ns - self._since_ns)
