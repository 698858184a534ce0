"""Which peers are session recording clients: sans-IO."""

from collections.abc import Sequence

from agent.call.siprec.budget import Budget
from agent.call.siprec.config import SiprecConfig


class RecordingSources:
    """The `[[siprec]]` entries, ready to be asked; empty if there are none."""

    def __init__(self, entries: Sequence[SiprecConfig] = ()) -> None:
        self._budgets: dict[str, Budget] = {}
        self.replace(entries)

    def replace(self, entries: Sequence[SiprecConfig]) -> None:
        """Go by others from now on; sessions that are up keep what they began with."""
        self._of_peer = {entry.from_: entry for entry in entries}
        self._named = {entry.name: entry for entry in entries}
        budgets = {one.from_: self.budget_of(one.from_) for one in entries}
        self._budgets = budgets

    def of_peer(self, peer: str) -> SiprecConfig | None:
        """What becomes of the recording sessions of a peer; None: it may send none."""
        return self._of_peer.get(peer)

    def named(self, name: str) -> SiprecConfig | None:
        """The entry of that name, for a session the process before had taken."""
        return self._named.get(name)

    def budget_of(self, peer: str) -> Budget:
        """What the metadata of a peer's sessions may cost; the same for all of them.

        One that may send none any more has what its sessions began with, or a new one.
        """
        return self._budgets.get(peer) or Budget()

    @property
    def unread(self) -> dict[str, int]:
        """By peer, the documents for which its budget did not suffice."""
        return {peer: budget.unread for peer, budget in self._budgets.items()}
