import asyncio
import random

import pytest
import structlog.testing

from agent.upload.backend import ObjectUnlockedError, StorageDeniedError, StorageError
from agent.upload.backends.memory import MemoryBackend
from agent.upload.target_line import TargetLine
from agent.upload.targets import Target
from tests.patience import PATIENCE


def line_of(errors: dict[str, Exception]) -> tuple[TargetLine, list[str]]:
    done: list[str] = []

    async def attempt(line: TargetLine, name: str) -> None:
        assert line.target.name == "north"
        if error := errors.pop(name, None):
            raise error
        done.append(name)

    target = Target(MemoryBackend(), MemoryBackend(), "north")
    return TargetLine(target, attempt, random.Random(1)), done


async def run_until_idle(line: TargetLine) -> None:
    task = asyncio.get_running_loop().create_task(line.run())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_oldest_first_and_each_once() -> None:
    line, done = line_of({})
    for age, name in ((2, "c"), (0, "a"), (1, "b"), (0, "a")):
        line.add(name, age)
    assert [*line] == ["c", "a", "b"]
    await run_until_idle(line)
    assert done == ["a", "b", "c"]
    assert len(line) == 0
    assert not line.away


@pytest.mark.parametrize("error", [StorageError, StorageDeniedError])
async def test_an_outage_is_everybodys(
    error: type[StorageError], capsys: pytest.CaptureFixture[str]
) -> None:
    line, _ = line_of({"a": error("away.")})
    line.add("a", 0)
    await run_until_idle(line)
    assert (line.away, line.failures, len(line)) == (True, 1, 1)
    log = capsys.readouterr().out
    assert "storing_failed" in log
    assert "north" in log


async def test_what_is_its_own_fault_is_no_outage() -> None:
    line, done = line_of({"a": ObjectUnlockedError("a has no lock.")})
    for age, name in enumerate("ab"):
        line.add(name, age)
    await run_until_idle(line)
    assert (line.away, line.failures, len(line)) == (False, 1, 1)
    assert done == ["b"]


async def test_a_storage_that_is_back_is_told_of_once() -> None:
    away, tried, left = True, asyncio.Event(), asyncio.Event()

    async def attempt(_line: TargetLine, _name: str) -> None:
        tried.set()
        if away:
            raise StorageError("away.")
        left.set()

    target = Target(MemoryBackend(), MemoryBackend(), "north")
    line = TargetLine(target, attempt, random.Random(1))
    line.doubt()
    line.add("a", 0)
    with structlog.testing.capture_logs() as log:
        task = asyncio.get_running_loop().create_task(line.run())
        await tried.wait()
        away = False
        await asyncio.sleep(0)
        line.took()  # a notice, before what waits is tried again
        assert line.away
        async with asyncio.timeout(PATIENCE):
            await left.wait()
        await asyncio.sleep(0)
        line.took()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [entry["event"] for entry in log] == ["storing_failed", "storage_back"]
