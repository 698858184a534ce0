"""How often strangers are answered: a token bucket for each, and one for all.

Whoever is not a configured peer gets a refusal, so that an honest mistake can be
found. A flood gets silence: with forged source addresses every answer would hit
somebody who did not ask.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

ALL_SOURCES: Final = 20
"The common bucket is that many times one source's: forged sources are unlimited."


class Guard:
    """Token buckets by source, the longest unheard forgotten first."""

    def __init__(self, rate: float, burst: int, max_sources: int) -> None:
        """`rate` answers a second to one source, `burst` at once."""
        self._rate = rate
        self._burst = float(burst)
        self._max_sources = max_sources
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._common: tuple[float, float] | None = None
        self.refused = 0
        "Times that `allow` said no."

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, source: str, now: float) -> bool:
        """Whether `source`, an IP address, may have an answer; takes a token if so.

        A whole IPv6 /64 counts as one source: it is what one household gets.
        """
        key = network_of(source)
        tokens = self._fill(self._buckets.get(key), self._rate, self._burst, now)
        common = self._fill(
            self._common, self._rate * ALL_SOURCES, self._burst * ALL_SOURCES, now
        )
        allowed = tokens >= 1 and common >= 1
        if allowed:
            tokens -= 1
            common -= 1
        else:
            self.refused += 1
        self._common = (common, now)
        self._buckets[key] = (tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_sources:
            self._buckets.popitem(last=False)
        return allowed

    @staticmethod
    def _fill(
        bucket: tuple[float, float] | None, rate: float, burst: float, now: float
    ) -> float:
        if bucket is None:
            return burst
        tokens, at = bucket
        return min(burst, tokens + max(0.0, now - at) * rate)


def network_of(source: str) -> str:
    """What counts as one source: an IPv4 address, or an IPv6 /64."""
    if ":" not in source:
        return source
    try:
        address = ipaddress.IPv6Address(source.partition("%")[0])
    except ValueError:
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19]
