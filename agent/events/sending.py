"""Which event is sent next: in order within a line, and no line holds up another.

A line is a call, or one alarm. Of each line one event at most is under way, so that the
order holds whatever the broker refuses and wherever the connection breaks: what is sent
again then was the last of its line. An event that the broker refuses stays in the
outbox, and its line waits behind it until the next round, while the others go on.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from agent.model.events import OutboxRow

WINDOW: Final = 20
"Events under way at once; a broker may allow fewer, and is then waited for."
READ_AHEAD: Final = 200
"Events in memory, sent or not: all that an outage of a day costs of it."
MAX_REFUSED: Final = 1000
"Lines that wait for another round; with more of them nothing more is read in this one."


class Sending:
    """One round through the outbox, from the oldest event on.

    Another one begins with every connection, and when what was refused is to be tried
    again; `accepted` is what the outbox could not be told to forget in the one before.
    """

    def __init__(self, accepted: Iterable[int] = ()) -> None:
        self.cursor = 0
        "Up to this position rows have been read in this round."
        self.refused: set[str] = set()
        "Lines that wait for the next round."
        self._lines: dict[str, deque[OutboxRow]] = {}
        self._ready: deque[str] = deque()
        "Lines with something to send, of which nothing is under way."
        self._under_way: dict[int, OutboxRow] = {}
        self._held = 0
        self._accepted = list(accepted)

    @property
    def room(self) -> int:
        """How many rows may be read now."""
        if len(self.refused) >= MAX_REFUSED:
            return 0
        return READ_AHEAD - self._held

    @property
    def to_forget(self) -> int:
        """How many events the outbox may forget."""
        return len(self._accepted)

    @property
    def idle(self) -> bool:
        """Whether everything that was read has been sent or refused."""
        return self._held == 0

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Take rows that stand behind the cursor, in their order."""
        for row in rows:
            self.cursor = row.position
            if row.line in self.refused:
                continue
            self._held += 1
            line = self._lines.get(row.line)
            if line is None:
                self._lines[row.line] = deque([row])
                self._ready.append(row.line)
            else:
                line.append(row)

    def next(self) -> OutboxRow | None:
        """What is to be sent now; from here on it is under way."""
        if not self._ready or len(self._under_way) >= WINDOW:
            return None
        row = self._lines[self._ready.popleft()][0]
        self._under_way[row.position] = row
        return row

    def accepted(self, position: int) -> None:
        """The broker has an event."""
        row = self._under_way.pop(position)
        self._accepted.append(position)
        self._held -= 1
        line = self._lines[row.line]
        line.popleft()
        if line:
            self._ready.append(row.line)
        else:
            del self._lines[row.line]

    def refuse(self, position: int) -> None:
        """The broker does not take an event now: its line waits."""
        row = self._under_way.pop(position)
        self._held -= len(self._lines.pop(row.line))
        self.refused.add(row.line)

    def take_accepted(self) -> list[int]:
        """What the outbox may forget; told once."""
        accepted, self._accepted = self._accepted, []
        return accepted

    def not_forgotten(self, positions: Iterable[int]) -> None:
        """The outbox could not forget these yet: they are told again."""
        self._accepted.extend(positions)
