"""Which peers are session recording clients: sans-IO."""

from collections.abc import Sequence

from agent.call.siprec.config import SiprecConfig


class RecordingSources:
    """The `[[siprec]]` entries, ready to be asked; empty if there are none."""

    def __init__(self, entries: Sequence[SiprecConfig] = ()) -> None:
        self.replace(entries)

    def replace(self, entries: Sequence[SiprecConfig]) -> None:
        """Go by others from now on; sessions that are up keep what they began with."""
        self._of_peer = {entry.from_: entry for entry in entries}
        self._named = {entry.name: entry for entry in entries}

    def of_peer(self, peer: str) -> SiprecConfig | None:
        """What becomes of the recording sessions of a peer; None: it may send none."""
        return self._of_peer.get(peer)

    def named(self, name: str) -> SiprecConfig | None:
        """The entry of that name, for a session the process before had taken."""
        return self._named.get(name)
