"""How late the event loop is: what signalling waits for beside its own work."""

import asyncio
from typing import Final

from agent.common.histogram import Histogram

EVERY: Final = 0.5
"Seconds between two looks."
BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"Seconds: SIP's first retransmission comes after half of one."


async def watch_loop(lag: Histogram) -> None:
    """Measure for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        lag.observe(max(0.0, loop.time() - due))
