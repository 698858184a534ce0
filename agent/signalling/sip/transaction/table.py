"""The transactions of one user agent: by key, by what they match, and by owner."""

from collections import Counter

from agent.signalling.sip.transaction.entries import (
    Client,
    SavedClient,
    SavedServer,
    Server,
)
from agent.signalling.sip.transaction.matching import MatchKey

Entry = Client | Server


class TransactionTable:
    """All that are open.

    With `track`, those that belong to somebody can be saved, and who it was whose
    transactions have changed is noted.
    """

    def __init__(self) -> None:
        self.clients: dict[MatchKey, Client] = {}
        self.servers: dict[MatchKey, Server] = {}
        self.by_key: dict[str, Entry] = {}
        self.per_peer: Counter[str] = Counter()
        "Server transactions, by whose share they count against."
        self.count = 0
        "Keys given out."
        self._owned: dict[str, list[str]] | None = None
        "Keys by owner, in their order; None: nobody asks."
        self._touched: set[str] = set()

    def __len__(self) -> int:
        return len(self.by_key)

    def new_key(self) -> str:
        """The key of one more."""
        self.count += 1
        return f"t{self.count}"

    def add(self, entry: Entry) -> None:
        """Take one in."""
        self.by_key[entry.key] = entry
        if isinstance(entry, Client):
            self.clients[entry.match] = entry
        else:
            self.servers[entry.match] = entry

    def add_ack(self, server: Server, match: MatchKey) -> None:
        """An ACK that matches that is for `server` too."""
        server.ack_match = match
        self.servers[match] = server

    def charge(self, server: Server, peer: str) -> None:
        """It counts against the share of that peer."""
        server.peer = peer
        self.per_peer[peer] += 1

    def forget(self, entry: Entry) -> None:
        """It is over."""
        del self.by_key[entry.key]
        if isinstance(entry, Client):
            del self.clients[entry.match]
        else:
            del self.servers[entry.match]
            if entry.peer:
                self.per_peer[entry.peer] -= 1
            if entry.ack_match is not None:
                self.servers.pop(entry.ack_match, None)
        if self._owned is not None and entry.owner:
            keys = self._owned[entry.owner]
            keys.remove(entry.key)
            if not keys:
                del self._owned[entry.owner]

    # -- transactions that outlive their process --------------------------------------

    def track(self, touched: set[str]) -> None:
        """From now on note in `touched` whose transactions change.

        To be called while there are none.
        """
        self._owned = {}
        self._touched = touched

    def own(self, entry: Entry, owner: str) -> None:
        """It belongs to `owner`."""
        entry.owner = owner
        if self._owned is not None and owner:
            self._owned.setdefault(owner, []).append(entry.key)

    def touch(self, entry: Entry) -> None:
        """It has changed."""
        if self._owned is not None and entry.owner:
            self._touched.add(entry.owner)

    def save(
        self, owner: str
    ) -> tuple[tuple[SavedClient, ...], tuple[SavedServer, ...]]:
        """Those of `owner`; they share messages with the live ones."""
        keys = () if self._owned is None else self._owned.get(owner, ())
        entries = [self.by_key[key] for key in keys]
        return (
            tuple(entry.save() for entry in entries if isinstance(entry, Client)),
            tuple(entry.save() for entry in entries if isinstance(entry, Server)),
        )

    def keep_free(self, keys: int) -> None:
        """The first `keys` keys were given out by another process."""
        self.count = max(self.count, keys)

    def adopt(self, entry: Entry, owner: str) -> None:
        """Take in one of another process, under its old key."""
        self.add(entry)
        if isinstance(entry, Server):
            if entry.ack_match is not None:
                self.add_ack(entry, entry.ack_match)
            if entry.peer:
                self.charge(entry, entry.peer)
        self.own(entry, owner)
