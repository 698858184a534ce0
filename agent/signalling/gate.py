"""How many messages are read at all: a token bucket for each peer and each stranger.

It stands before the parser, whose time is what a flood is after. What a peer sends
over its rate by UDP is dropped, for its timers send it again; a connection is not read
for a while, and a stranger's is closed. Emergency calls, and whatever belongs to one,
pass whatever the rate.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from agent.signalling.guard import network_of
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import LimitsOf, PeerLimits

BURST_SECONDS: Final = 2.0
"What may come at once, in seconds of the rate."
MAX_SOURCES: Final = 10_000
ALL_STRANGERS: Final = 20
"Strangers together may send that many times what one may: sources can be forged."
MAX_PAUSE: Final = 1.0
"Seconds a connection is left unread at most: less than a message's time."

HEADERS_SEARCHED: Final = 8192
"Octets in which a Call-ID is looked for."

_URGENT = re.compile(rb"INVITE (?i:sips?|tel):([^@;:\s]{1,32})")
_CALL_ID = re.compile(rb"\n(?i:Call-ID|i)[ \t]*:[ \t]*([^\s]{1,256})")


@dataclass(slots=True)
class GateStats:
    """Counters since the start."""

    dropped_peers: int = 0
    "Datagrams of peers beyond their rate."
    dropped_strangers: int = 0
    pauses: int = 0
    "Times a connection was left unread for a while."


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float

    def filled(self, rate: float, now: float) -> float:
        """What is there to be taken now."""
        filled = self.tokens + max(0.0, now - self.at) * rate
        return min(rate * BURST_SECONDS, filled)

    def take(self, rate: float, now: float) -> float:
        """Take one token; returns what is left, less than 0 if there was none."""
        self.tokens, self.at = self.filled(rate, now) - 1, now
        return self.tokens


class Gate:
    """The buckets, the longest unused forgotten first."""

    def __init__(
        self,
        limits_of: LimitsOf,
        is_emergency: Callable[[str], bool],
        in_emergency: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`is_emergency` judges the user part of a Request-URI.

        `in_emergency` tells whether a Call-ID is that of an emergency call's leg.
        """
        self.stats = GateStats()
        self._limits_of = limits_of
        self._is_emergency = is_emergency
        self._in_emergency = in_emergency
        self._known: OrderedDict[tuple[str, int], PeerLimits] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._strangers: _Bucket | None = None

    def __len__(self) -> int:
        return len(self._buckets)

    def admit(self, data: bytes, flow: Flow, now: float) -> bool:
        """Whether to read a datagram."""
        limits = self._limits_at(flow)
        if self._take(limits, flow, now) >= 0:
            return True
        if not limits.name:
            self.stats.dropped_strangers += 1
            return False
        if self._is_urgent(data):
            return True
        self.stats.dropped_peers += 1
        return False

    def allowance(self, flow: Flow, now: float) -> int | None:
        """How many messages of one read of a connection to look at; None: all.

        A peer's are all looked at, and paid for by a pause. A stranger could bring
        thousands in each read, over as many connections as it likes.
        """
        limits = self._limits_of(flow)
        rate = limits.messages
        if limits.name or not rate:
            return None
        bucket = self._buckets.get(network_of(flow.remote.host))
        own = rate * BURST_SECONDS if bucket is None else bucket.filled(rate, now)
        if self._strangers is not None:
            own = min(own, self._strangers.filled(rate * ALL_STRANGERS, now))
        return max(0, int(own))

    def pause(self, flow: Flow, count: int, now: float) -> float:
        """How long to leave a connection unread that has brought `count` messages."""
        limits = self._limits_of(flow)
        left = 0.0
        for _ in range(count):
            left = self._take(limits, flow, now)
        if left >= 0:
            return 0.0
        self.stats.pauses += 1
        return min(MAX_PAUSE, -left / limits.messages)

    def _limits_at(self, flow: Flow) -> PeerLimits:
        source = flow.remote.host, flow.remote.port
        found = self._known.get(source)
        if found is None:
            found = self._known[source] = self._limits_of(flow)
            if len(self._known) > MAX_SOURCES:
                self._known.popitem(last=False)
        return found

    def _take(self, limits: PeerLimits, flow: Flow, now: float) -> float:
        rate = limits.messages
        if not rate:
            return 0.0
        host = flow.remote.host
        name = f"peer {limits.name}" if limits.name else network_of(host)
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(rate * BURST_SECONDS, now)
            if len(self._buckets) > MAX_SOURCES:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        left = bucket.take(rate, now)
        # What is dropped must not put off the time from which something passes.
        bucket.tokens = max(-BURST_SECONDS * rate if flow.reliable else 0.0, left)
        if limits.name:
            return left
        if self._strangers is None:
            self._strangers = _Bucket(rate * ALL_STRANGERS * BURST_SECONDS, now)
        together = self._strangers.take(rate * ALL_STRANGERS, now)
        self._strangers.tokens = max(0.0, together)
        return min(left, together)

    def _is_urgent(self, data: bytes) -> bool:
        match = _URGENT.match(data)
        if match is not None:
            return self._is_emergency(unquote(match[1].decode("ascii", "replace")))
        match = _CALL_ID.search(data, 0, HEADERS_SEARCHED)
        return match is not None and self._in_emergency(
            match[1].decode("utf-8", "replace")
        )
