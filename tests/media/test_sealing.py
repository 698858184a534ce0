import heapq
from collections.abc import Callable

from agent.media.sealing import seal_by_and_by
from agent.media.tap import BLOCK_NS, RIPE_NS

STEP = 20_000_000
"Packets of one leg come this far apart."


class Clock:
    """A loop without descriptors."""

    def __init__(self) -> None:
        self._timers: list[tuple[int, int, Callable[[int], None]]] = []

    def call_at(self, at_ns: int, callback: Callable[[int], None]) -> None:
        heapq.heappush(self._timers, (at_ns, len(self._timers), callback))

    def run(self, until_ns: int) -> None:
        while self._timers and self._timers[0][0] <= until_ns:
            at_ns, _, callback = heapq.heappop(self._timers)
            callback(at_ns)


class Ages:
    """A tap of which only the ages of what it seals are known."""

    def __init__(self) -> None:
        self.open: list[int] = []
        self.sealed: list[int] = []
        self._ripe = 0

    def ripen(self) -> None:
        self._ripe = len(self.open)

    def seal(self, now_ns: int) -> None:
        self.sealed += [now_ns - at for at in self.open[: self._ripe]]
        del self.open[: self._ripe]


def test_every_record_is_ripe_and_none_is_late() -> None:
    clock, tap = Clock(), Ages()
    over: list[bool] = []
    seal_by_and_by(clock, tap, lambda: not over, 0)  # type: ignore[arg-type]
    for at_ns in range(1, 10 * BLOCK_NS, STEP):
        clock.run(at_ns)
        tap.open.append(at_ns)
    assert len(tap.sealed) > 400
    assert RIPE_NS <= min(tap.sealed) < RIPE_NS + STEP
    assert BLOCK_NS - STEP < max(tap.sealed) <= BLOCK_NS
    over.append(True)
    clock.run(11 * BLOCK_NS)
    assert clock._timers == []
