"""How much of the host's time one client's metadata may take: sans-IO.

Metadata is read, and who is who decided by it, while all calls of the host wait. What
that costs does not follow from a document's length: of the same length the dearest
takes sixty times as long as the cheapest. So a client has seconds, not octets: those
that calls wait for, also where others keep the host busy.

An ordinary client does not come near, however fast the host is: of what its sessions
cost to be set up, metadata is less than SHARE.
"""

from typing import Final

SHARE: Final = 0.3
"""Seconds of main's time in each second that all sessions of one client have together.

4 kB of metadata take 1.2 ms of the 8 that main works for a session that begins: not
even sessions that leave main no time for anything else use this up, on any host."""
BURST: Final = 0.25
"""Seconds at once: so long all calls wait at most.

What one read of a connection brings, some 50 INVITEs, takes 40 ms."""


class Budget:
    """That of one client."""

    def __init__(self) -> None:
        self._left = BURST
        self._at: float | None = None
        self.unread = 0
        "Documents that were kept unread, since the start."

    def allows(self, now: float) -> bool:
        """Whether anything may be spent at `now`, in monotonic seconds."""
        if self._at is not None:
            gained = max(0.0, now - self._at) * SHARE
            self._left = min(BURST, self._left + gained)
        self._at = now
        return self._left > 0

    def charge(self, seconds: float) -> None:
        """So long it took; the last may have cost more than was left."""
        self._left -= seconds
