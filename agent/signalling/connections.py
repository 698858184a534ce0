"""Which connections there are, sans-IO: limits, deadlines, and which one a flow means.

RFC 3261 section 18, RFC 5923 (reuse).
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from agent.model.media import Address
from agent.signalling.connection import Connection, Verdict
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.transaction.schedule import Schedule

MAX_PER_STRANGER: Final = 8
"Connections of one address that is no configured peer: an honest mistake needs one."
STRANGERS_SHARE: Final = 4
"Strangers together may hold one in that many of all connections."

_Key = tuple[str, Address, Address, str]


@dataclass(slots=True)
class ConnectionStats:
    """Counters since the start; `open` is now."""

    open: int = 0
    accepted: int = 0
    "Opened by peers, handshake done."
    connected: int = 0
    "Opened by us."
    connect_failures: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    "Connections turned away, by reason."
    closed: Counter[str] = field(default_factory=Counter)
    "Connections ended, by reason."
    pings: int = 0
    "Keep-alives answered."
    unsent: int = 0
    "Messages for which there was no connection, or no room in it."


class ConnectionTable:
    """Every connection of one user agent, and every one that is being opened."""

    def __init__(self, *, max_connections: int, idle_seconds: float) -> None:
        self.stats = ConnectionStats()
        self._max = max_connections
        self._idle_seconds = idle_seconds
        self._flows: dict[str, Flow] = {}
        self._connections: dict[str, Connection] = {}
        self._by_key: dict[_Key, str] = {}
        self._sources: dict[str, tuple[str, str]] = {}
        self._per_peer: Counter[str] = Counter()
        self._per_stranger: Counter[str] = Counter()
        self._schedule = Schedule()
        self._count = 0

    def __len__(self) -> int:
        return len(self._sources)

    # -- places -------------------------------------------------------------------

    def admit(self, host: str, peer: str, limit: int) -> str | None:
        """A place for a connection from `host`, and its name; None if there is none.

        `peer` is the configured peer at that address, or empty; `limit` its share, 0
        for none. The place is taken at once: a handshake that never ends costs as
        much as a connection. `stats.refused` says why there was none.
        """
        reason = ""
        if len(self._sources) >= self._max:
            reason = "total"
        elif peer and limit and self._per_peer[peer] >= limit:
            reason = "peer"
        elif not peer and (
            self._per_stranger[host] >= MAX_PER_STRANGER
            or self._per_stranger.total() >= self._max // STRANGERS_SHARE
        ):
            reason = "stranger"
        if reason:
            self.stats.refused[reason] += 1
            return None
        return self._take(host, peer)

    def begin(self, peer: str, flow: Flow) -> str:
        """A place for a connection that we open: no limit, for calls must get out."""
        return self._take(flow.remote.host, peer)

    def restore(self, name: str, host: str, peer: str) -> None:
        """The place that a connection had in another process."""
        self._count = max(self._count, int(name[1:]))
        self._occupy(name, host, peer)

    def _take(self, host: str, peer: str) -> str:
        self._count += 1
        name = f"c{self._count}"
        self._occupy(name, host, peer)
        return name

    def _occupy(self, name: str, host: str, peer: str) -> None:
        self._sources[name] = host, peer
        if peer:
            self._per_peer[peer] += 1
        else:
            self._per_stranger[host] += 1

    # -- life ---------------------------------------------------------------------

    def opened(self, name: str, flow: Flow, now: float) -> Connection:
        """The connection in that place is up."""
        known = bool(self._sources[name][1]) or not flow.inbound
        connection = Connection(
            outgoing=not flow.inbound,
            known=known,
            idle_seconds=self._idle_seconds,
            now=now,
        )
        self._flows[name] = flow
        self._connections[name] = connection
        self._by_key[_key(flow)] = name
        self.stats.open += 1
        if flow.inbound:
            self.stats.accepted += 1
        else:
            self.stats.connected += 1
        self.settle(name)
        return connection

    def identified(self, name: str, peer: str, limit: int = 0) -> bool:
        """The certificate says which peer it is, where the address did not.

        False if that peer has its share, `limit` of them, already.
        """
        host, before = self._sources[name]
        if not peer or before:
            return True
        if limit and self._per_peer[peer] >= limit:
            self.stats.refused["peer"] += 1
            return False
        self._give_back(host, before)
        self._per_peer[peer] += 1
        self._sources[name] = host, peer
        return True

    def settle(self, name: str) -> None:
        """Look again at the deadline of a connection, which may be nearer now."""
        self._schedule.set(name, self._connections[name].get_timer())

    def gone(self, name: str, reason: str) -> Flow | None:
        """The connection has ended, or never came to be; returns its flow."""
        source = self._sources.pop(name, None)
        if source is None:
            return None
        self._give_back(*source)
        self._schedule.set(name, None)
        flow = self._flows.pop(name, None)
        if flow is not None:
            del self._connections[name]
            if self._by_key.get(_key(flow)) == name:
                del self._by_key[_key(flow)]
            self.stats.open -= 1
            self.stats.closed[reason] += 1
        return flow

    def _give_back(self, host: str, peer: str) -> None:
        counter, key = (self._per_peer, peer) if peer else (self._per_stranger, host)
        counter[key] -= 1
        if not counter[key]:
            del counter[key]

    # -- use ----------------------------------------------------------------------

    def find(self, flow: Flow) -> str | None:
        """The open connection that `flow` means."""
        return self._by_key.get(_key(flow))

    def flow_of(self, name: str) -> Flow | None:
        """The flow of an open connection."""
        return self._flows.get(name)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return self._schedule.first()

    def handle_timer(self, now: float) -> list[tuple[str, Verdict]]:
        """The connections to be pinged or closed now."""
        due = []
        while (name := self._schedule.pop_due(now)) is not None:
            verdict = self._connections[name].handle_timer(now)
            if verdict is None or verdict is Verdict.PING:
                self.settle(name)
            if verdict is not None:
                due.append((name, verdict))
        return due


def reopening(flow: Flow) -> Flow | None:
    """The flow to open instead of one whose connection is gone; None: there is none.

    RFC 3261 section 18.2.2: to the address the request came from, at the port of its
    sent-by; a TLS peer must be again who it was.
    """
    if not flow.inbound:
        return flow
    if flow.fallback is None:
        return None
    domain = ""
    if flow.transport == "tls":
        domain = flow.certificate[0] if flow.certificate else flow.fallback.host
    return Flow(flow.transport, flow.local, flow.fallback, domain)


def _key(flow: Flow) -> _Key:
    return flow.transport, flow.local, flow.remote, flow.domain
