"""When the blocks of a recording are sealed: each record late, and in time.

A pause is told a moment after it began. By then what was heard in it must not be sealed
yet, and a killed process must not lose more than BLOCK_NS.
"""

from collections.abc import Callable

from agent.media.loop import Loop
from agent.media.tap import BLOCK_NS, RIPE_NS, JournalTap


def seal_by_and_by(
    loop: Loop, tap: JournalTap, goes_on: Callable[[], bool], now_ns: int
) -> None:
    """Seal what has become RIPE_NS old, again and again for as long as it goes on."""

    def ripen(now_ns: int) -> None:
        tap.ripen()
        loop.call_at(now_ns + RIPE_NS, seal)

    def seal(now_ns: int) -> None:
        tap.seal(now_ns)
        wait(now_ns)

    def wait(now_ns: int) -> None:
        if goes_on():
            # What comes just after one look has to be in time after the next.
            loop.call_at(now_ns + BLOCK_NS - 2 * RIPE_NS, ripen)

    wait(now_ns)
