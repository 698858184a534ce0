import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.common.clock import utc_ns
from agent.common.tasks import TaskSet
from agent.model.call import CallDirection
from agent.recording.ledger import CallIntent, Ledger
from agent.service import outcome_watch
from agent.service.config import Config, load
from agent.service.counting import start_counting
from agent.service.metrics.config import MetricsConfig
from agent.service.metrics.endpoint import Parts
from tests.cli.conftest import DiskSite
from tests.patience import PATIENCE


class Runs:
    """Call control: asked of each answered call without an outcome whether it is up."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    def runs(self, call_id: str) -> bool:
        self.asked.put_nowait(call_id)
        return True


async def ledger_with_a_call(root: Path) -> Ledger:
    ledger = Ledger(root / "ledger.sqlite", hash_key=b"h" * 32, reserve_bytes=4096)
    await ledger.start()
    intent = CallIntent(
        call_id="one",
        sip_call_id="x",
        route="in",
        direction=CallDirection.INBOUND,
        begun_utc_ns=utc_ns(),
    )
    await ledger.begin(intent)
    await ledger.answered("one", utc_ns())
    return ledger


def parts(config: Config, **given: Any) -> Parts:
    others: Any = dict.fromkeys(Parts.__dataclass_fields__)
    return Parts(**(others | {"config": lambda: config} | given))


async def test_outcomes_and_days_are_watched_with_no_metrics_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome_watch, "EVERY", 0.0)
    config = msgspec.structs.replace(
        load(DiskSite(tmp_path).write()), metrics=MetricsConfig()
    )
    ledger, control = await ledger_with_a_call(tmp_path), Runs()
    failed: list[str] = []
    tasks = TaskSet(lambda name, _: failed.append(name))
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
        stack.push_async_callback(ledger.close)
        stack.push_async_callback(tasks.close)
        counted = parts(config, ledger=ledger, control=control)
        await start_counting(counted, tmp_path, root=tmp_path, stack=stack, tasks=tasks)
        assert await control.asked.get() == "one"
        assert len(tasks) == 2
    assert not failed
