"""Nonces that cost nothing until somebody proves to know a password.

RFC 7616 sections 3.3 and 5.4: a nonce is a time and a random number under our seal,
which covers the address it was given to; what is kept of it, from its first proven use
on, are the counts that were used.
"""

import hashlib
import hmac
import random
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 64
"Counts that may be overtaken by later ones: datagrams lose their order."

# Short, for each challenge repeats it: a time, 32 random bits, 96 bits of seal.
_NONCE = re.compile(r"([0-9a-f]{12})[0-9a-f]{8}([0-9a-f]{24})")
_BODY: Final = 20
"Characters before the seal."


@dataclass(slots=True)
class _Counts:
    """Which counts of one nonce were used: the highest, and a bit for each below."""

    highest: int = 0
    bits: int = 0

    def use(self, nc: int) -> bool:
        """Take `nc`; False if it was used, or may have been."""
        if nc > self.highest:
            # Not by more than the window: a count may leap by four thousand million,
            # and a number of that many bits is half a gigabyte.
            step = min(nc - self.highest, WINDOW)
            self.bits = (self.bits << step | 1) & (1 << WINDOW) - 1
            self.highest = nc
            return True
        bit = 1 << (self.highest - nc)
        if nc < 1 or self.highest - nc >= WINDOW or self.bits & bit:
            return False
        self.bits |= bit
        return True


class Nonces:
    """Issues nonces, knows them again, and lets each count of one be used once."""

    def __init__(
        self,
        *,
        key: bytes,
        rng: random.Random,
        lifetime: float = 300.0,
        max_used: int = 10_000,
    ) -> None:
        """`key` is random and lives as long as this; `lifetime` is in seconds."""
        self._key = key
        self._rng = rng
        self._lifetime = lifetime
        self._max_used = max_used
        self._used: OrderedDict[str, _Counts] = OrderedDict()
        self._forgotten = -1
        "Latest time of issue of those whose counts had to be forgotten early."

    def __len__(self) -> int:
        return len(self._used)

    def issue(self, source: str, now: float) -> str:
        """A new nonce for whoever is at the address `source`."""
        body = f"{_milliseconds(now):012x}{self._rng.getrandbits(32):08x}"
        return body + self._seal(body, source)

    def is_fresh(self, nonce: str, source: str, now: float) -> bool:
        """Whether `source` has it from us, and it is neither too old nor forgotten."""
        match = _NONCE.fullmatch(nonce)
        if match is None or not hmac.compare_digest(
            match[2], self._seal(nonce[:_BODY], source)
        ):
            return False
        issued = int(match[1], 16)
        if _milliseconds(now) - issued > self._lifetime * 1000:
            return False
        return nonce in self._used or issued > self._forgotten

    def use(self, nonce: str, nc: int, now: float) -> bool:
        """Use count `nc` of a fresh nonce, proven by a right digest; once only."""
        counts = self._used.get(nonce)
        if counts is None:
            self._make_room(now)
            counts = self._used[nonce] = _Counts()
        return counts.use(nc)

    def _make_room(self, now: float) -> None:
        while self._used:
            oldest = next(iter(self._used))
            issued = int(oldest[:12], 16)
            expired = _milliseconds(now) - issued > self._lifetime * 1000
            if not expired and len(self._used) < self._max_used:
                return
            if not expired:
                # Its counts could be used again, so it must be used no more; nor
                # may any issued before it, which cannot be told from it.
                self._forgotten = max(self._forgotten, issued)
            del self._used[oldest]

    def _seal(self, body: str, source: str) -> str:
        text = f"{body} {source}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:24]


def _milliseconds(now: float) -> int:
    return int(now * 1000)
