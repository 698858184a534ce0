"""The shell of a waiting line: so many at a time are worked on, the oldest first."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from agent.common.errors import AgentError
from agent.recording.waiting_line import WaitingLine

Attempt = Callable[[str], Awaitable[None]]
"Does it, or raises AgentError or OSError."
Failed = Callable[[str, AgentError | OSError, float], None]
"Hears who failed, why, and after how many seconds it is tried again."


class WorkQueue:
    """Works on the names of one line; memory for those that wait is a row each."""

    def __init__(
        self,
        line: WaitingLine,
        attempt: Attempt,
        *,
        at_once: int,
        on_failed: Failed,
        is_own_fault: Callable[[AgentError | OSError], bool],
        on_recovered: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_recovered` hears that an outage is over."""
        self._line = line
        self._attempt = attempt
        self._at_once = at_once
        self._on_failed = on_failed
        self._is_own_fault = is_own_fault
        self._on_recovered = on_recovered
        self._busy = 0
        self._changed = asyncio.Event()
        self._done = asyncio.Event()

    def add(self, name: str, age: int) -> None:
        """Work on `name` when it is its turn."""
        self._line.add(name, age)
        self._changed.set()

    async def emptied(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while len(self._line):
            self._done.clear()
            await self._done.wait()

    async def run(self) -> None:
        """Work for ever."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while self._busy < self._at_once and (
                    name := self._line.next(loop.time())
                ):
                    self._busy += 1
                    group.create_task(self._try(name), name=f"work-{name}")
                due = None if self._busy >= self._at_once else self._line.deadline()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()

    async def _try(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._attempt(name)
        except (AgentError, OSError) as error:
            own = self._is_own_fault(error)
            delay = self._line.failed(name, loop.time(), by_itself=own)
            self._on_failed(name, error, delay)
        else:
            if self._line.succeeded(name, loop.time()):
                self._on_recovered()
        finally:
            self._busy -= 1
            self._changed.set()
            self._done.set()
