import asyncio
from collections.abc import Coroutine

from agent.common.tasks import TaskSet


async def test_a_failed_task_is_reported_by_name_and_spares_the_others() -> None:
    failures: list[tuple[str, BaseException]] = []
    tasks = TaskSet(lambda name, error: failures.append((name, error)))
    go = asyncio.Event()
    done = []

    async def fail() -> None:
        raise ValueError("x")

    async def work() -> None:
        await go.wait()
        done.append(1)

    tasks.spawn(fail(), name="bad")
    tasks.spawn(work(), name="good")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [name for name, _ in failures] == ["bad"]
    assert len(tasks) == 1
    go.set()
    await tasks.drain(1.0)
    assert done == [1]
    await tasks.drain(1.0)


async def test_close_cancels_what_still_runs() -> None:
    failures: list[str] = []
    tasks = TaskSet(lambda name, _: failures.append(name))

    async def forever() -> None:
        await asyncio.Event().wait()

    tasks.spawn(forever(), name="x")
    await tasks.close()
    assert len(tasks) == 0
    assert failures == []


async def test_what_has_not_begun_leaves_nothing_unawaited() -> None:
    """A coroutine that was given to another is that one's to await."""
    begun: list[str] = []

    async def inner() -> None:
        begun.append("inner")
        await asyncio.Event().wait()

    async def outer(work: Coroutine[object, object, None]) -> None:
        await work

    tasks = TaskSet(lambda name, error: None)
    tasks.spawn(outer(inner()), name="t")
    await tasks.close()
    assert begun == ["inner"]
    assert len(tasks) == 0
