"""What the workers tell of their legs, added up: for metrics, and for who watches."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.common.histogram import Histogram
from agent.media.events import LegStats

JITTER_BOUNDS_MS: Final = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"A jitter buffer of a phone takes up 20 to 60 ms."
DELAY_BOUNDS_MS: Final = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"A worker lets packets gather for 2 ms; 20 ms are a whole frame."


@dataclass(slots=True)
class Totals:
    """Packets of all legs, since the start; counters, so that none of them falls."""

    received: int = 0
    lost: int = 0
    "Of those sent to us."
    sent: int = 0
    remote_lost: int = 0
    "Of those we sent, as peers report it; no more than was sent, whatever they say."
    send_errors: int = 0
    refused: int = 0
    "Dropped: not RTP, from a stranger, or under no key of ours."


class Figures:
    """Takes what is told of each leg with its RTCP reports, and at its end.

    A leg is known by its name and by when its worker opened it: after a worker's death,
    or in another worker, one of the same name counts from nothing again.
    """

    def __init__(self, since_ns: int) -> None:
        """Of legs that were opened before `since_ns` only what comes is counted.

        An earlier process has counted the rest. Nanoseconds of CLOCK_MONOTONIC.
        """
        self._since_ns = since_ns
        self._legs: dict[str, dict[int, LegStats]] = {}
        self.totals = Totals()
        self.jitter_ms = Histogram(JITTER_BOUNDS_MS)
        "Of every leg, each time it is told."
        self.delay_ms = Histogram(DELAY_BOUNDS_MS)
        "Sampled: how long a packet waited until it was relayed."

    def of(self, leg: str) -> LegStats | None:
        """What was told last of a leg that is up."""
        told = self._legs.get(leg)
        return None if told is None else told[max(told)]

    def __len__(self) -> int:
        return len(self._legs)

    def measured(self, leg: str, stats: LegStats) -> None:
        """A leg's figures up to now."""
        self._count(leg, stats)
        self._legs.setdefault(leg, {})[stats.opened_ns] = stats
        if stats.received:
            self.jitter_ms.observe(stats.jitter_ms)
        if stats.delay_ms is not None:
            self.delay_ms.observe(stats.delay_ms)

    def closed(self, leg: str, stats: LegStats) -> None:
        """A leg's last figures."""
        self._count(leg, stats)
        told = self._legs.get(leg, {})
        told.pop(stats.opened_ns, None)
        if not told:
            self._legs.pop(leg, None)

    def lost(self, legs: Iterable[str]) -> None:
        """Their worker has died: nothing more will be told of what these were."""
        for leg in legs:
            self._legs.pop(leg, None)

    def _count(self, leg: str, stats: LegStats) -> None:
        known = self._legs.get(leg, {}).get(stats.opened_ns)
        if known is None:
            # All of it is new, unless an earlier process has counted what was before.
            known = stats if stats.opened_ns < self._since_ns else LegStats()
        totals = self.totals
        totals.received += max(0, stats.received - known.received)
        totals.lost += max(0, stats.lost - known.lost)
        totals.sent += max(0, stats.sent - known.sent)
        totals.remote_lost += max(0, _remote_lost(stats) - _remote_lost(known))
        totals.send_errors += max(0, stats.send_errors - known.send_errors)
        totals.refused += max(0, _refused(stats) - _refused(known))


def _remote_lost(stats: LegStats) -> int:
    return min(max(stats.remote_lost or 0, 0), stats.sent)


def _refused(stats: LegStats) -> int:
    return (
        stats.invalid
        + stats.foreign
        + stats.unheard
        + stats.unauthenticated
        + stats.replayed
    )
