"""Tasks with a name and an owner: none is lost, none fails in silence."""

import asyncio
from collections.abc import Callable, Coroutine


class TaskSet:
    """Background tasks of one owner, who must close it.

    A task that fails is reported to `on_failure` once; it never takes its
    siblings with it, unlike a TaskGroup.
    """

    def __init__(self, on_failure: Callable[[str, BaseException], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[object, object, None], *, name: str) -> None:
        """Run `coroutine` in the background under `name`."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109
        """Wait up to `timeout` seconds for the tasks to end of themselves."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    def cancel(self) -> None:
        """Ask what still runs to end, without waiting for it."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        while tasks := list(self._tasks):
            # One that has not begun could not take back what it was given to await.
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(task.get_name(), error)
