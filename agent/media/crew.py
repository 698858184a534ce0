"""All worker processes of a pool: who is up, who stands by, who takes a call's legs."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from agent.common.clock import monotonic_ns
from agent.common.release import release
from agent.media import control
from agent.media.apart import Apart
from agent.media.config import MediaConfig
from agent.media.errors import NoWorkerError
from agent.media.events import WorkerEvent
from agent.media.holdings import Holdings
from agent.media.link import WorkerLink
from agent.media.placement import Placement
from agent.media.spare import Spare
from agent.media.spawning import Spawning
from agent.media.supervisor import Supervisor
from agent.model.call import EndCause

APART_SECONDS: Final = 120.0
"""How long workers that are units of their own go on without a main process: until it
has been restarted, however slowly."""
READY_SECONDS: Final = 3.0
"How long a new leg waits for a worker that is being replaced."


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """How it stands with one place."""

    up: bool
    lost: int
    "Workers that died in it."
    release: str = ""
    "What who is in it was started from; empty if nobody is."
    seen_ns: int = 0
    "CLOCK_MONOTONIC of the last sign of life of who is in it; 0 if nobody is."
    journal_lag: float = 0.0
    "Seconds for which the oldest of its journals' bytes has not been durable."


class Crew:
    """Workers by their index, each with a supervisor.

    `on_lost`, `on_ready` and `on_given_up` are called as a supervisor's are.
    """

    def __init__(
        self,
        config: MediaConfig,
        directory: Path,
        *,
        apart: bool,
        on_report: Callable[[WorkerEvent], None],
        on_lost: Callable[[int], None],
        on_ready: Callable[[int], None],
        on_given_up: Callable[[int], None],
    ) -> None:
        workers = config.workers or os.cpu_count() or 1
        hello = control.Hello(
            version=control.VERSION,
            timeout=config.timeout,
            one_way_after=config.one_way_after,
            silent_after=config.silent_after,
            fsync_interval=config.fsync_interval,
            orphan_seconds=APART_SECONDS if apart else control.ORPHAN_SECONDS,
        )
        self._source = (
            Apart(directory, hello, workers + config.spares)
            if apart
            else Spawning(directory, hello, workers)
        )
        self._sounds: dict[str, tuple[control.AddSound, int]] = {}
        self._on_lost = on_lost
        self._on_ready = on_ready
        self._on_report = on_report
        self._on_given_up = on_given_up
        self._wanted = workers
        self._places = workers + config.spares
        self._release = release()
        self._renewed = False
        "Whether there are enough of our release, so that those of others are to go."
        self._workers: list[Supervisor] = []
        "Those wanted; behind them those that keep what they have, and take no more."
        self._lost_ns: list[int] = []
        for _ in range(workers):
            self._add_place()
        self._spares = [Spare(self._hire) for _ in range(config.spares)]
        self._log = structlog.get_logger()
        self._turn = asyncio.Event()
        "Set, and replaced, whenever a worker comes back."
        self.placement = Placement()

    async def start(self) -> None:
        """Fill every place with a worker, those first that have something already.

        Raises MediaError.
        """
        links = await self._source.begin()
        ours = [link.release == self._release for link in links]
        self._renewed = sum(ours) >= self._places
        links.sort(key=self._rank, reverse=True)
        for worker in self._workers:
            worker.begin(links.pop(0) if links else None)
        # Fewer workers may be wanted than there were when their calls began, or others.
        busy = [link for link in links if link.holdings]
        idle = [link for link in links if not link.holdings]
        for link in busy:
            self._log.warning(
                "media_worker_draining", socket=link.path.name, version=link.release
            )
            self._add_place().begin(link)
        for spare in self._spares:
            spare.begin(idle.pop(0) if idle else None)
        for link in idle:
            self._let_go(link)

    def _rank(self, link: WorkerLink) -> tuple[bool, int]:
        """Who takes a place first: whoever has calls already.

        Where an upgrade has started enough of our release beside those that have the
        calls, it is one of them; the others drain.
        """
        return self._renewed and link.release == self._release, len(link.holdings)

    def _let_go(self, link: WorkerLink) -> None:
        """Leave one that has nothing, or have it end where it is of another release."""
        if self._renewed and link.release != self._release:
            link.send(control.Retire(cause=EndCause.AGENT_STOPPED, for_good=True))
        self._source.release(link)

    def _add_place(self) -> Supervisor:
        place = Supervisor(
            len(self._workers),
            self._hire,
            self._take_spare,
            on_report=self._on_report,
            on_lost=self._lost,
            on_ready=self._ready,
            on_given_up=self._on_given_up,
        )
        self._workers.append(place)
        self._lost_ns.append(0)
        return place

    @property
    def draining(self) -> list[int]:
        """Workers that are up, and more than are wanted."""
        return [worker.index for worker in self._workers[self._wanted :] if worker.up]

    def release(self, worker: int) -> None:
        """Let one go that is draining, and has nothing any more."""
        if (link := self._workers[worker].leave()) is not None:
            self._log.info(
                "media_worker_drained", socket=link.path.name, version=link.release
            )
            self._let_go(link)

    def holdings(self, worker: int) -> Holdings:
        """What a worker had when it was met, and nobody took yet."""
        return self._workers[worker].holdings

    @property
    def places(self) -> range:
        """The indices of the workers."""
        return range(len(self._workers))

    async def stop(self) -> None:
        """Let the workers close every journal and leg, and end."""
        await asyncio.gather(*(spare.stop() for spare in self._spares))
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._close()

    def _close(self) -> None:
        self.placement.clear()
        for _, fd in self._sounds.values():
            os.close(fd)
        self._sounds.clear()

    def add_sound(self, message: control.AddSound, memory: int) -> None:
        """Give a sound to every worker, present and future, in place of its namesake.

        `memory` is a descriptor, which is the crew's from now on. What plays goes on.
        """
        known, old = self._sounds.get(message.name, (None, memory))
        if known is not None:
            os.close(memory if known == message else old)
            if known == message:
                return
        self._sounds[message.name] = message, memory
        for worker in self._workers:
            worker.tell(message, (memory,))
        for spare in self._spares:
            if spare.link is not None:
                spare.link.send(message, (memory,))

    async def _hire(self) -> WorkerLink:
        """A new worker that knows every sound. Raises MediaError."""
        link = await self._source.hire()
        for message, memory in self._sounds.values():
            link.send(message, (memory,))
        return link

    def _take_spare(self) -> WorkerLink | None:
        standing_by = (spare for spare in self._spares if spare.link is not None)
        found = next(standing_by, None)
        return None if found is None else found.take()

    # -- one worker -----------------------------------------------------------

    def up(self, worker: int) -> bool:
        """Whether it can be told something."""
        return self._workers[worker].up

    def given_up(self, worker: int) -> bool:
        """Whether there will be none in its place for a while."""
        return self._workers[worker].given_up

    def lost_ns(self, worker: int) -> int:
        """When the last one in this place died."""
        return self._lost_ns[worker]

    def tell(
        self, worker: int, message: control.Command, fds: tuple[int, ...] = ()
    ) -> None:
        """Send to a worker, if it is up. Raises ControlError as its supervisor does."""
        self._workers[worker].tell(message, fds)

    def flush(self) -> None:
        """Send what they were told, without waiting for the loop's next turn."""
        for worker in self._workers:
            worker.flush()

    def look(self) -> None:
        """Kill those that are hung, so that they are replaced.

        To be called every SIGN_SECONDS.
        """
        links = {worker.index: worker.link for worker in self._workers}
        for worker, link in links.items():
            if link is not None and link.end_if_hung():
                self._log.error("media_worker_hung", worker=worker)
        for spare in self._spares:
            if spare.link is not None and spare.link.end_if_hung():
                self._log.error("media_worker_hung", worker=None)

    # -- all of them ----------------------------------------------------------

    async def for_call(self, call: str) -> int:
        """The worker for a new leg of a call. Raises NoWorkerError.

        One that is being replaced is back in a fraction of a second: that is waited
        for.
        """
        candidates = self._candidates(call)
        if candidates and not any(worker.up for worker in candidates):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    while not any(worker.up for worker in self._candidates(call)):
                        await self._turn.wait()
            candidates = self._candidates(call)
        ready = [worker.index for worker in candidates if worker.up]
        if not ready:
            raise NoWorkerError("No media worker is running.")
        return self.placement.least_loaded(ready)

    def _candidates(self, call: str) -> list[Supervisor]:
        placed = self.placement.worker_of(call)
        workers = self._workers[: self._wanted]
        if placed is not None:
            workers = [self._workers[placed]]
        return [worker for worker in workers if not worker.given_up]

    @property
    def workers(self) -> tuple[WorkerPlace, ...]:
        """Every place for a worker that takes legs."""
        return tuple(_place(worker) for worker in self._workers[: self._wanted])

    @property
    def workers_up(self) -> int:
        """Workers that take legs."""
        return sum(worker.up for worker in self._workers[: self._wanted])

    @property
    def spares_up(self) -> int:
        """Workers that stand by."""
        return sum(spare.link is not None for spare in self._spares)

    @property
    def workers_lost(self) -> int:
        """Workers that died since the start."""
        return sum(worker.lost for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that are up."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def _lost(self, index: int) -> None:
        self._lost_ns[index] = monotonic_ns()
        self._on_lost(index)

    def _ready(self, index: int) -> None:
        self._on_ready(index)
        self._turn.set()
        self._turn = asyncio.Event()


def _place(worker: Supervisor) -> WorkerPlace:
    if (link := worker.link) is None:
        return WorkerPlace(up=worker.up, lost=worker.lost)
    return WorkerPlace(
        up=worker.up,
        lost=worker.lost,
        release=link.release,
        seen_ns=link.life.seen_ns,
        journal_lag=link.life.journal_lag,
    )
