"""What takes too long to be asked in the loop: read in a thread, and kept a while."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from agent.common.errors import AgentError

T = TypeVar("T")


class Remembered(Generic[T]):
    """One such value; None until it was read, and when it cannot be."""

    def __init__(self, name: str, read: Callable[[], T], *, seconds: float) -> None:
        """`read` blocks; it raises AgentError or OSError if it cannot."""
        self._name = name
        self._read = read
        self._seconds = seconds
        self._until = float("-inf")
        self._reading = asyncio.Lock()
        self._value: T | None = None
        self._log = structlog.get_logger()

    def __call__(self) -> T | None:
        """What was read last."""
        return self._value

    async def refresh(self, now: float) -> None:
        """Read it, unless that was done within `seconds`; `now` is monotonic."""
        async with self._reading:
            if now < self._until:
                return
            try:
                self._value = await asyncio.to_thread(self._read)
            except (AgentError, OSError) as error:
                self._value = None
                self._log.warning(
                    "metric_unreadable", what=self._name, reason=str(error)
                )
            self._until = now + self._seconds
