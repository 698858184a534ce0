"""Who has failed too often to be let try again, by name: a source, or a user."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Failures:
    count: int = 0
    latest: float = 0.0
    locks: int = 0
    until: float = 0.0


class Lockout:
    """Counts failures, and locks longer each time there are too many.

    The longest quiet is forgotten first, so that strangers cannot fill the memory.
    """

    def __init__(
        self,
        *,
        limit: int,
        window: float = 300.0,
        first: float = 60.0,
        longest: float = 3600.0,
        max_names: int = 10_000,
    ) -> None:
        """`limit` failures, none later than `window` seconds after the one before.

        They lock for `first` seconds, then for twice as long, up to `longest`; all
        is forgotten after `window` seconds without a failure or a lock.
        """
        self._limit = limit
        self._window = window
        self._first = first
        self._longest = longest
        self._max_names = max_names
        self._names: OrderedDict[str, _Failures] = OrderedDict()
        self.locked = 0
        "Times that somebody was locked out."

    def __len__(self) -> int:
        return len(self._names)

    def is_locked(self, name: str, now: float) -> bool:
        """Whether `name` may not try now."""
        found = self._names.get(name)
        return found is not None and now < found.until

    def failed(self, name: str, now: float) -> bool:
        """Note a failure; whether it is the one that locks."""
        found = self._names.get(name)
        if found is None or now > max(found.latest, found.until) + self._window:
            found = self._names[name] = _Failures()
        self._names.move_to_end(name)
        if len(self._names) > self._max_names:
            self._names.popitem(last=False)
        found.count += 1
        found.latest = now
        if found.count < self._limit:
            return False
        found.until = now + min(self._first * 2**found.locks, self._longest)
        # Thirty-two doublings are beyond any `longest`.
        found.locks = min(found.locks + 1, 32)
        found.count = 0
        self.locked += 1
        return True

    def succeeded(self, name: str) -> None:
        """Take one failure back: behind one source there may be many telephones."""
        found = self._names.get(name)
        if found is not None:
            found.count = max(0, found.count - 1)
