"""One connection of SIP over TCP or TLS, as its socket is read and written."""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from agent.signalling.connection import Connection
from agent.signalling.kept import SavedConnection
from agent.signalling.sip.flow import Flow

if TYPE_CHECKING:
    from agent.signalling.stream import StreamTransport

MAX_UNSENT: Final = 1024 * 1024
"Octets a peer may leave unread before its connection is given up."


class Stream(asyncio.Protocol):
    """One connection's socket."""

    transport: asyncio.Transport

    def __init__(
        self,
        owner: "StreamTransport",
        name: str,
        flow: Flow,
        saved: SavedConnection | None = None,
    ) -> None:
        self._owner = owner
        self.saved = saved
        "How another process has left it."
        self.name = name
        self.flow = flow
        self.connection: Connection | None = None
        self.refused = ""
        "Why we gave it up before it began."

    def send(self, data: bytes) -> None:
        """Send one message, unless the peer reads nothing."""
        stats = self._owner.table.stats
        if self.connection is None or self.transport.is_closing():
            stats.unsent += 1
            return
        # Its deadline can only have moved later: the table sees that in its time.
        self.connection.sent(self._owner.now)
        kept = self._owner.kept
        if kept is not None and self.name in kept:
            kept.sent(self.name, data)
            self._owner.delay(self, data)
        else:
            self.write(data)

    def write_at_once(self, data: bytes) -> None:
        """Write what is no message."""
        if self._owner.kept is not None:
            self._owner.kept.sent(self.name, data)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Write, and give up a peer that reads nothing."""
        self.transport.write(data)
        pending = self.transport.get_write_buffer_size()
        if (kept := self._owner.kept) is not None:
            kept.wrote(self.name, pending)
        if pending > MAX_UNSENT:
            self._owner.abort(self, "the peer does not read")

    def resume(self) -> None:
        """Read on, if it is still there."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    # -- asyncio's callbacks ----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._owner.made(self)

    def data_received(self, data: bytes) -> None:
        self._owner.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self, exc)
