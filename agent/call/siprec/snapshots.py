"""When a recording client is asked for all it knows: sans-IO, RFC 7866 section 9.2."""

from typing import Final

from agent.call.siprec.state import SnapshotsState

INTERVAL: Final = 30.0
"Seconds between two requests."
MOST: Final = 3
"A client that does not answer these will not answer more."


class Snapshots:
    """Says when to ask: while something is missing, and no oftener than it may."""

    def __init__(self) -> None:
        self._asked = 0
        self.deadline: float | None = None
        "When to ask next, in monotonic seconds; None: nothing is missing."
        self._last: float | None = None

    @property
    def state(self) -> SnapshotsState:
        """All of it, for `restore` in another process."""
        return SnapshotsState(
            asked=self._asked, last=self._last, deadline=self.deadline
        )

    def restore(self, state: SnapshotsState) -> None:
        """Go on where another one stood."""
        self._asked = state.asked
        self._last = state.last
        self.deadline = state.deadline

    def note(self, now: float, *, missing: bool, later: bool = False) -> None:
        """Whether something is missing, as far as is known now.

        `later`: what the client told could not be read, and not at once again.
        """
        if not missing:
            self._asked = 0
            self.deadline = None
        elif self._asked >= MOST:
            self.deadline = None
        elif self.deadline is None:
            self.deadline = now if self._last is None else self._last + INTERVAL
            if later:
                self.deadline = max(self.deadline, now + INTERVAL)

    def due(self, now: float) -> bool:
        """Whether to ask now; then it counts as asked."""
        if self.deadline is None or now < self.deadline:
            return False
        self._asked += 1
        self._last = now
        self.deadline = now + INTERVAL if self._asked < MOST else None
        return True
