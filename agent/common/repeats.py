"""Lines of the log that say the same again and again: counted, and told once.

No clock here: `now` is nanoseconds of a clock that does not step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST: Final = 20
"Lines of one event about one thing in a window; what is normal says less."
WINDOW_NS: Final = 60 * 1_000_000_000
MAX_KEYS: Final = 4096
"Things that are told apart at once; the one that was begun first gives way."

REMOTE: Final = "remote"
"Address and port of a connection: one address is one thing, whatever its port."

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What was held back of one event about one thing."""

    event: str
    level: str
    ids: Mapping[str, str]
    count: int


@dataclass(slots=True)
class _Window:
    level: str
    begun_ns: int
    count: int = 0


class Repeats:
    """Which lines are one too many."""

    def __init__(self, ids: frozenset[str]) -> None:
        """`ids` are the fields by which one thing is told from another."""
        self._ids = ids
        self._windows: dict[_Key, _Window] = {}
        self._over: dict[_Key, _Window] = {}
        "Of these, those of which something is held back."
        self._done: list[Repeated] = []
        self.held_back = 0
        "Lines that were counted instead of written."

    def passes(
        self, event: str, level: str, fields: Mapping[str, object], now_ns: int
    ) -> bool:
        """Whether a line is to be written; else it is counted."""
        key = (
            event,
            tuple(
                (name, _thing(name, str(value)))
                for name, value in fields.items()
                if name in self._ids or name == REMOTE
            ),
        )
        window = self._windows.get(key)
        if window is None or now_ns - window.begun_ns >= WINDOW_NS:
            self._end(key)
            window = self._windows[key] = _Window(level, now_ns)
            if len(self._windows) > MAX_KEYS:
                self._end(next(iter(self._windows)))
        window.count += 1
        if window.count <= MOST:
            return True
        self._over[key] = window
        self.held_back += 1
        return False

    def told(self, now_ns: int) -> list[Repeated]:
        """What was held back in windows that are over; each once."""
        if self._over:
            for key, window in list(self._over.items()):
                if now_ns - window.begun_ns >= WINDOW_NS:
                    self._end(key)
        done, self._done = self._done, []
        return done

    def _end(self, key: _Key) -> None:
        window = self._windows.pop(key, None)
        if window is not None and self._over.pop(key, None) is not None:
            held = window.count - MOST
            self._done.append(Repeated(key[0], window.level, dict(key[1]), held))


def _thing(name: str, value: str) -> str:
    return value.rpartition(":")[0] if name == REMOTE else value
