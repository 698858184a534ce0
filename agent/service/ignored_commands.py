"""Which ignored commands are to be audited: a broker can repeat them for ever."""

import hashlib
from datetime import date
from typing import Final

MOST: Final = 100
"Rows of a day: far more than people send by mistake."


class IgnoredCommands:
    """Knows those of one day: each is news once, and no more than MOST are."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._known: set[bytes] = set()
        "Digests."

    def is_news(self, payload: bytes, today: date) -> bool:
        """Whether this one is to be written down; from now on it was."""
        if today != self._day:
            self._day = today
            self._known.clear()
        digest = hashlib.sha256(payload).digest()
        if digest in self._known or len(self._known) >= MOST:
            return False
        self._known.add(digest)
        return True
