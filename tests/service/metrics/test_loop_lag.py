import asyncio

import pytest

from agent.common.histogram import Histogram
from agent.common.tasks import TaskSet
from agent.service.metrics import loop_lag
from agent.service.metrics.loop_lag import BOUNDS, watch_loop


async def test_it_is_measured_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "EVERY", 0.0)
    failures: list[BaseException] = []
    tasks = TaskSet(lambda _, error: failures.append(error))
    lag = Histogram(BOUNDS)
    tasks.spawn(watch_loop(lag), name="lag")
    while lag.cumulative[-1] < 3:
        await asyncio.sleep(0)
    await tasks.close()
    assert failures == []
    assert lag.total >= 0
