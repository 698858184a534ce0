"""A worker that stands by, to take the place of one that dies at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from agent.common.tasks import TaskSet
from agent.media.errors import MediaError
from agent.media.link import WorkerLink
from agent.model.call import EndCause

SETTLE: Final = 1.0
"Seconds before one is started: those who have calls need the processor first."
BACK_OFF: Final = 10.0
"Seconds after one could not be started, or died of itself."


class Spare:
    """A place for one worker that has nothing to do.

    `hire` gives a worker that knows every sound; raises MediaError.
    """

    def __init__(self, hire: Callable[[], Awaitable[WorkerLink]]) -> None:
        self._hire = hire
        self._link: WorkerLink | None = None
        self._tasks = TaskSet(_task_failed)
        self._log = structlog.get_logger()

    @property
    def link(self) -> WorkerLink | None:
        """Who stands by, if anybody does."""
        return self._link

    def begin(self, link: WorkerLink | None) -> None:
        """Take the first one; None: get one, in a while."""
        if link is None or link.ended:
            self.start()
        else:
            self._place(link)

    def start(self, delay: float = SETTLE) -> None:
        """Get one, in a while."""
        self._tasks.spawn(self._fill(delay), name="media-spare-fill")

    def take(self) -> WorkerLink | None:
        """Give away who stands by, and get another."""
        link, self._link = self._link, None
        if link is not None:
            self.start()
        return link

    async def stop(self) -> None:
        """Let it end."""
        await self._tasks.close()
        link, self._link = self._link, None
        if link is not None:
            await link.retire(EndCause.AGENT_STOPPED)

    async def _fill(self, delay: float) -> None:
        while self._link is None:
            await asyncio.sleep(delay)
            delay = BACK_OFF
            try:
                self._place(await self._hire())
            except MediaError as error:
                # Nobody's call depends on it; it is tried again.
                self._log.warning("spare_worker_not_started", reason=str(error))

    def _place(self, link: WorkerLink) -> None:
        link.serve(lambda _: None, self._lost)
        self._link = link

    def _lost(self) -> None:
        self._link = None
        self.start(BACK_OFF)


def _task_failed(name: str, error: BaseException) -> None:
    # Not foreseen: the loop's handler logs it, with the traceback.
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{name} failed", "exception": error}
    )
