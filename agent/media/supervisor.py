"""Keeps one place for a worker filled: notice a death, replace, give up a while."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from agent.common.clock import monotonic
from agent.common.tasks import TaskSet
from agent.media import control
from agent.media.errors import MediaError
from agent.media.events import WorkerEvent
from agent.media.holdings import Holdings
from agent.media.link import WorkerLink
from agent.model.call import EndCause

RESPAWNS: Final = 3
RESPAWN_WINDOW: Final = 10.0
"A worker lost this often in so many seconds is given up …"
BACK_OFF: Final = 10.0
"… for so long."


class Supervisor:
    """One place for a worker, and whoever is in it.

    `spare` gives a successor that stands by, or None; `hire` a new one, which takes a
    while. `on_lost` is called when the worker died; `on_ready` when its successor can
    be told everything; `on_given_up` when there will be none for a while.
    """

    def __init__(
        self,
        index: int,
        hire: Callable[[], Awaitable[WorkerLink]],
        spare: Callable[[], WorkerLink | None],
        *,
        on_report: Callable[[WorkerEvent], None],
        on_lost: Callable[[int], None],
        on_ready: Callable[[int], None],
        on_given_up: Callable[[int], None],
    ) -> None:
        self.index = index
        self.up = False
        "Whether there is a worker that can be told something."
        self.given_up = False
        self.lost = 0
        self._hire = hire
        self._spare = spare
        self._on_report = on_report
        self._on_lost = on_lost
        self._on_ready = on_ready
        self._on_given_up = on_given_up
        self._link: WorkerLink | None = None
        self._deaths: deque[float] = deque(maxlen=RESPAWNS)
        self._tasks = TaskSet(self._task_failed)
        self._stopping = False
        self._log = structlog.get_logger()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, if it is up."""
        return self._link.pid if self.up and self._link is not None else None

    @property
    def link(self) -> WorkerLink | None:
        """Whoever is in the place, if somebody is."""
        return self._link

    @property
    def holdings(self) -> Holdings:
        """What the worker had when it was met, and nobody took yet."""
        return Holdings() if self._link is None else self._link.holdings

    def begin(self, link: WorkerLink | None) -> None:
        """Take the first worker; None: there is none yet."""
        if link is None or link.ended:
            self._tasks.spawn(self._replace(), name=f"media-worker-{self.index}")
        else:
            self._place(link)

    def leave(self) -> WorkerLink | None:
        """Give the place up for good, and away who is in it."""
        self._stopping = True
        self.up = False
        link, self._link = self._link, None
        return link

    async def stop(self) -> None:
        """Let the worker close its journals and end."""
        self._stopping = True
        await self._tasks.close()
        if self._link is not None:
            await self._link.retire(EndCause.AGENT_STOPPED)
        self.up = False
        self._link = None

    def tell(self, message: control.Command, fds: tuple[int, ...] = ()) -> None:
        """Send to the worker, if it is up; a successor is told by its owner.

        Raises ControlError if the message is too long.
        """
        if self.up and self._link is not None:
            self._link.send(message, fds)

    def flush(self) -> None:
        """Let it know at once what it was told."""
        if self._link is not None:
            self._link.flush()

    def _place(self, link: WorkerLink) -> None:
        link.serve(self._on_report, self._worker_died)
        self._link = link
        self.given_up = False
        self.up = True

    def _worker_died(self) -> None:
        self.up = False
        self._link = None
        self.lost += 1
        self._deaths.append(monotonic())
        self._on_lost(self.index)
        if self._stopping:
            return
        link = None if self._died_too_often() else self._spare()
        if link is None:
            self._tasks.spawn(self._replace(), name=f"media-worker-{self.index}")
        else:
            self._place(link)
            self._on_ready(self.index)

    async def _replace(self) -> None:
        while True:
            if self._died_too_often():
                self.given_up = True
                self._log.error(
                    "media_worker_given_up", worker=self.index, seconds=BACK_OFF
                )
                self._on_given_up(self.index)
                await asyncio.sleep(BACK_OFF)
                self._deaths.clear()
            try:
                self._place(await self._hire())
            except MediaError as error:
                self._log.error("media_worker_not_started", reason=str(error))
                self._deaths.append(monotonic())
                continue
            self._on_ready(self.index)
            return

    def _died_too_often(self) -> bool:
        return (
            len(self._deaths) == RESPAWNS
            and self._deaths[-1] - self._deaths[0] < RESPAWN_WINDOW
        )

    def _task_failed(self, name: str, error: BaseException) -> None:
        # Not foreseen: the loop's handler logs it, with the traceback.
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"{name} failed", "exception": error}
        )
