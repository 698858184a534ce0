"""Which peers are up, sans-IO: when to ask them, and what their answers mean.

RFC 3261 section 11 (OPTIONS). One lost answer says nothing about a peer.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.signalling.sip.transaction.schedule import Schedule

DOWN_AFTER: Final = 2
"Probes in a row without an answer."
UP_AFTER: Final = 2
"Answers in a row, once it was down: what flaps is no help to a caller."
UNAVAILABLE: Final = frozenset({408, 503})
"Answers that are none; any other, a refusal too, shows that somebody is there."


class PeerState(StrEnum):
    """What is known of a peer."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A peer has come up or gone down."""

    peer: str
    state: PeerState


@dataclass(slots=True)
class ProbeStats:
    """Counters since the start."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    ups: int = 0
    downs: int = 0


@dataclass(slots=True)
class _Peer:
    interval: float
    state: PeerState = PeerState.UNKNOWN
    run: int = 0
    "Answers in a row against the state."


class Probing:
    """The state of every peer that is probed; of others nothing is known.

    The next probe of a peer is due an interval after the last one's end, more or less
    a tenth, so that peers are not all asked at once.
    """

    def __init__(
        self, intervals: Mapping[str, float], *, rng: random.Random, now: float
    ) -> None:
        """`intervals`: seconds by peer; 0 is never."""
        self.stats = ProbeStats()
        self._rng = rng
        self._peers = {
            name: _Peer(seconds) for name, seconds in intervals.items() if seconds > 0
        }
        self._schedule = Schedule()
        self._events: deque[PeerChanged] = deque()
        for name, peer in self._peers.items():
            self._schedule.set(name, now + min(1.0, peer.interval) * rng.random())

    def state_of(self, peer: str) -> PeerState:
        """What is known of a peer."""
        found = self._peers.get(peer)
        return PeerState.UNKNOWN if found is None else found.state

    def is_down(self, peer: str) -> bool:
        """Whether a peer is known not to answer."""
        return self.state_of(peer) is PeerState.DOWN

    def get_timer(self) -> float | None:
        """When `due` wants to be called, if at all."""
        return self._schedule.first()

    def due(self, now: float) -> list[str]:
        """The peers to be probed now; each waits for `answered` before the next."""
        names = []
        while (name := self._schedule.pop_due(now)) is not None:
            names.append(name)
        self.stats.sent += len(names)
        return names

    def answered(self, name: str, status: int, now: float) -> None:
        """The final response to a peer's probe, or what its lack is as good as."""
        peer = self._peers[name]
        jitter = 0.9 + 0.2 * self._rng.random()
        self._schedule.set(name, now + peer.interval * jitter)
        there = status not in UNAVAILABLE
        if there:
            self.stats.answered += 1
        else:
            self.stats.failed += 1
        if peer.state is (PeerState.UP if there else PeerState.DOWN):
            peer.run = 0
            return
        peer.run += 1
        if there and (peer.state is PeerState.UNKNOWN or peer.run >= UP_AFTER):
            self.stats.ups += 1
            self._change(name, peer, PeerState.UP)
        elif not there and peer.run >= DOWN_AFTER:
            self.stats.downs += 1
            self._change(name, peer, PeerState.DOWN)

    def next_event(self) -> PeerChanged | None:
        """The next change, if there is any."""
        return self._events.popleft() if self._events else None

    def _change(self, name: str, peer: _Peer, state: PeerState) -> None:
        peer.state, peer.run = state, 0
        self._events.append(PeerChanged(name, state))
