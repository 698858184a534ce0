"""How many connections one certificate, or one address, may hold: nobody all of them.

Counts alone: who opens and closes them is agent.gate.server.
"""

from collections import Counter
from typing import Final

MAX_CONNECTIONS: Final = 200
"Of everybody together."
MAX_OF_CERTIFICATE: Final = 32
"A person's tools open eight at most."
MAX_OF_ADDRESS: Final = MAX_CONNECTIONS // 2
"Many people may come through one."


class Connections:
    """Those that are open, by whose they are."""

    def __init__(
        self,
        of_certificate: int = MAX_OF_CERTIFICATE,
        of_address: int = MAX_OF_ADDRESS,
    ) -> None:
        self._limits = {"certificate": of_certificate, "address": of_address}
        self._open: Counter[tuple[str, str]] = Counter()
        self._told: set[tuple[str, str]] = set()

    def take(self, certificate: str, address: str) -> str:
        """Count one more; what has too many of them then, empty: nothing has."""
        keys = _keys(certificate, address)
        for kind, one in keys:
            if self._open[kind, one] >= self._limits[kind]:
                return kind
        self._open.update(keys)
        return ""

    def give_back(self, certificate: str, address: str) -> None:
        """Count one that was taken no more."""
        for key in _keys(certificate, address):
            self._open[key] -= 1
            if self._open[key] <= 0:
                del self._open[key]
            if self._open[key] <= self._limits[key[0]] // 2:
                self._told.discard(key)

    def is_news(self, kind: str, one: str) -> bool:
        """Whether to tell that one more was refused: once until there are few again."""
        news = (kind, one) not in self._told
        self._told.add((kind, one))
        return news


def _keys(certificate: str, address: str) -> list[tuple[str, str]]:
    return [("certificate", certificate), ("address", address)]
