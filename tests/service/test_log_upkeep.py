import asyncio
import contextlib

import pytest

from agent.common import logs
from agent.common.logs import Told
from agent.service import log_upkeep
from agent.service.alarm_board import AlarmBoard
from tests.patience import PATIENCE


async def test_the_log_is_flushed_and_old_alarms_are_taken_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushed = asyncio.Event()
    monkeypatch.setattr(log_upkeep, "EVERY", 0.0)
    monkeypatch.setattr(logs, "flush", flushed.set)
    board = AlarmBoard()
    board.note(Told("part_failed", "critical", {"part": "p"}, 0))
    assert board.active()
    upkeep = asyncio.get_running_loop().create_task(log_upkeep.keep_log(board))
    async with asyncio.timeout(PATIENCE):
        await flushed.wait()
        while board.active():
            await asyncio.sleep(0)
    upkeep.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await upkeep
