"""Whole telephone numbers of calls that are up, for events that may show them.

They are in memory alone: what stands in the outbox is masked, and an event that is sent
by another process than the one that had the call shows its numbers masked.
"""

from collections.abc import Mapping
from typing import Final

MAX_CALLS: Final = 20_000
"Twice the calls of the largest host; the oldest give way."


class Numbers:
    """Remembers numbers by call and field; what it does not know is nothing."""

    def __init__(self) -> None:
        self._calls: dict[str, dict[str, str]] = {}

    def __repr__(self) -> str:
        return f"Numbers({len(self._calls)} calls)"

    def remember(self, call_id: str, field: str, number: str) -> None:
        """A number of a call, as an event names it."""
        self._calls.setdefault(call_id, {})[field] = number
        if len(self._calls) > MAX_CALLS:
            del self._calls[next(iter(self._calls))]

    def of(self, call_id: str) -> Mapping[str, str]:
        """All of a call."""
        return self._calls.get(call_id, {})

    def forget(self, call_id: str) -> None:
        """The call is over, and all that shows numbers has been sent."""
        self._calls.pop(call_id, None)
