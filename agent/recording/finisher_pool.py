"""The finishers: processes aside that give way to live calls, and may die or hang.

Each works on one recording at a time. What dies is replaced, and so is what stands
still: its journal is untouched, and somebody else begins anew.
"""

import asyncio
import functools
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path
from threading import Thread
from typing import Final

import structlog

from agent.common.dumps import forbid_dumps
from agent.formats.blind_index import IndexKeys
from agent.model.recording import Kept
from agent.recording.finisher import Finished, FinisherError, FinishJob, finish
from agent.recording.spool import Spool

NICE: Final = 10
"Below everything that carries a live call."
CLOSE_SECONDS: Final = 5.0
"How long a job under way may hold up the daemon's end; the journal is still there."
JOBS_PER_PROCESS: Final = 500
"Then a fresh process: what one long recording took is given back."
STALLED_SECONDS: Final = 60.0
"""So long a process with a job may go without a hundredth of a second of CPU: however
busy the host, its share is more, and a disk that takes so long is as good as none."""


class FinisherPool:
    """Runs `finish` in `workers` processes; survives their death."""

    def __init__(
        self,
        spool: Spool,
        *,
        workers: int = 0,
        kept: Kept = Kept(),  # noqa: B008 - frozen
    ) -> None:
        self.workers = workers or 1
        self._spool = spool
        self._kept = kept
        self.index: IndexKeys | None = None
        "By which recordings are indexed from now on: they go by pipe, never by disk."
        self._processes = [_Process() for _ in range(self.workers)]
        self._idle: asyncio.Queue[_Process] = asyncio.Queue()
        self._closed = False
        self._log = structlog.get_logger()

    async def start(self) -> None:
        """Start the processes, so that the first call finds them warm."""
        for process in self._processes:
            await process.start()
            self._idle.put_nowait(process)

    async def close(self) -> None:
        """End the processes; what they had not finished is salvaged at next start."""
        if self._closed:
            return
        self._closed = True
        for process in self._processes:
            process.shut_down()
        children = multiprocessing.active_children()
        await asyncio.to_thread(_end, children, CLOSE_SECONDS)

    async def finish(self, job: FinishJob) -> Finished:
        """Finish one segment. Raises AgentError or OSError; then nothing changed."""
        if self._closed:
            raise FinisherError("the finishers are stopped.")
        process = await self._idle.get()
        try:
            finished = await self._finish(process, job)
        finally:
            self._idle.put_nowait(process)
        if finished.salvaged:
            self._log.error(
                "finishing_impossible",
                recording_id=job.recording_id,
                reason=finished.salvaged,
            )
        return finished

    async def _finish(self, process: "_Process", job: FinishJob) -> Finished:
        for _ in range(2):
            try:
                if process.jobs >= JOBS_PER_PROCESS or process.broken:
                    await process.start()
                return await self._watched(process, job)
            except BrokenProcessPool:
                process.broken = True
        raise FinisherError("a finisher died twice.")

    async def _watched(self, process: "_Process", job: FinishJob) -> Finished:
        """Have a process do a job; kill it if it stands still."""
        future = process.submit(job, self._spool.root, self._kept, self.index)
        while True:
            used = process.cpu_ticks()
            done, _ = await asyncio.wait({future}, timeout=STALLED_SECONDS)
            if done:
                return future.result()
            if process.cpu_ticks() == used:
                self._log.error(
                    "finisher_stalled",
                    recording_id=job.recording_id,
                    seconds=STALLED_SECONDS,
                )
                process.kill()


class _Process:
    """One process, and the one after it."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._pid = 0
        self.jobs = 0
        self.broken = False

    async def start(self) -> None:
        """Start one, in the place of that before. Raises BrokenProcessPool.

        Renewed by us, not by max_tasks_per_child: with it, Python 3.11 may leave the
        job after the last one of a process waiting for ever.
        """
        self.shut_down()
        self._executor = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_be_humble,
        )
        self.jobs, self.broken = 0, False
        loop = asyncio.get_running_loop()
        self._pid = await loop.run_in_executor(self._executor, os.getpid)

    def submit(
        self, job: FinishJob, root: Path, kept: Kept, index: IndexKeys | None
    ) -> asyncio.Future[Finished]:
        """Begin a job."""
        self.jobs += 1
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(
            self._executor, functools.partial(finish, job, root, kept, index)
        )

    def cpu_ticks(self) -> int:
        """Hundredths of a second of CPU that it has used; -1 if it is no more."""
        try:
            stat = Path(f"/proc/{self._pid}/stat").read_text()
        except OSError:
            return -1
        fields = stat.rpartition(") ")[2].split()
        return int(fields[11]) + int(fields[12])

    def kill(self) -> None:
        """End it at once; whoever waits for its job hears BrokenProcessPool."""
        os.kill(self._pid, signal.SIGKILL)

    def shut_down(self) -> None:
        """Let it end after its job."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


def _end(children: list[multiprocessing.process.BaseProcess], seconds: float) -> None:
    """Wait for processes, all of them together at most `seconds`; then kill."""
    for child in children:
        child.join(timeout=seconds / len(children))
        if child.is_alive():
            child.kill()
            child.join()


def _be_humble() -> None:
    """Give way to live calls, show nobody what is said, and do not outlive the daemon.

    A finisher that went on alone would be in the way of the next daemon's recovery.
    """
    forbid_dumps()
    os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon says when to stop
    Thread(target=_follow_parent, name="follow-parent", daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
