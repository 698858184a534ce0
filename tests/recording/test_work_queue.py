import asyncio
from collections.abc import Callable

from agent.common.errors import AgentError
from agent.recording.waiting_line import WaitingLine
from agent.recording.work_queue import WorkQueue
from tests.call.party import until


class Shop:
    """A queue whose work ends when it is told to."""

    def __init__(self, *, at_once: int = 2) -> None:
        self.begun: list[str] = []
        self.failed: list[tuple[str, str, float]] = []
        self.recovered = 0
        self._ends: dict[str, asyncio.Future[None]] = {}
        self.queue = WorkQueue(
            WaitingLine(outage=lambda _: 0.01, own=lambda _: 0.02),
            self._attempt,
            at_once=at_once,
            on_failed=lambda name, error, delay: self.failed.append(
                (name, str(error), round(delay, 2))
            ),
            is_own_fault=lambda error: not isinstance(error, OSError),
            on_recovered=self._recover,
        )
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(self.queue.run())

    async def _attempt(self, name: str) -> None:
        self.begun.append(name)
        self._ends[name] = asyncio.get_running_loop().create_future()
        await self._ends[name]

    def _recover(self) -> None:
        self.recovered += 1

    def end(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self._ends.pop(name).set_result(None)
        else:
            self._ends.pop(name).set_exception(error)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def begun(shop: Shop, *names: str) -> Callable[[], bool]:
    return lambda: shop.begun == list(names)


async def test_so_many_at_once_the_oldest_first() -> None:
    shop = Shop()
    for name, age in (("c", 3), ("b", 2), ("a", 1)):
        shop.queue.add(name, age)
    await until(begun(shop, "a", "b"))
    shop.end("b")
    await until(begun(shop, "a", "b", "c"))
    shop.end("a")
    emptied = asyncio.get_running_loop().create_task(shop.queue.emptied())
    await asyncio.sleep(0)
    assert not emptied.done()
    shop.end("c")
    await emptied
    assert (shop.failed, shop.recovered) == ([], 0)
    await shop.close()


async def test_failures_are_told_and_tried_again() -> None:
    shop = Shop(at_once=1)
    shop.queue.add("a", 1)
    await until(begun(shop, "a"))
    shop.end("a", OSError("full"))
    await until(begun(shop, "a", "a"))
    shop.end("a", AgentError("broken"))
    await until(begun(shop, "a", "a", "a"))
    shop.end("a")
    await shop.queue.emptied()
    assert shop.failed == [("a", "full", 0.01), ("a", "broken", 0.02)]
    assert shop.recovered == 1
    await shop.close()
