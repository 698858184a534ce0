"""What the log and the board of alarms need now and then."""

import asyncio
from typing import Final

from agent.common import logs
from agent.common.clock import utc_ns
from agent.service.alarm_board import AlarmBoard

EVERY: Final = 1.0
"Seconds: so long what waits for a journal that reads again may wait."


async def keep_log(alarms: AlarmBoard) -> None:
    """Write what is due, and take down alarms of long ago, for ever."""
    while True:
        await asyncio.sleep(EVERY)
        logs.flush()
        alarms.expire(utc_ns())
