"""Requests that a fork upstream has sent us twice: RFC 3261 section 8.2.2.2."""

from typing import Final

from agent.signalling.sip.message import Request

MAX_REMEMBERED: Final = 20000
"As many as there may be transactions."


class RecentRequests:
    """Names of requests that had no To-tag, for as long as another copy may come."""

    def __init__(self, lifetime: float) -> None:
        """`lifetime` is the sender's patience, timer B, in seconds."""
        self._lifetime = lifetime
        self._forget_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._forget_at)

    def is_merged(self, request: Request, now: float) -> bool:
        """Whether it was here before, over another path; remembers it if not.

        Retransmissions never get this far.
        """
        names = self._forget_at
        while names and next(iter(names.values())) <= now:
            del names[next(iter(names))]
        # The hash is keyed, and a peer's identifiers may be long.
        name = hash((request.call_id, request.from_.tag, request.cseq.number))
        if name in names:
            return True
        if len(names) >= MAX_REMEMBERED:
            del names[next(iter(names))]
        names[name] = now + self._lifetime
        return False
