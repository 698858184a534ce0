"""What waits for one central storage: a line of its own, whatever the others do."""

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.recording.dispatch import NotReadyError
from agent.recording.spool import SealedError
from agent.recording.waiting_line import WaitingLine
from agent.recording.work_queue import WorkQueue
from agent.upload.backend import (
    BadKeyError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectUnlockedError,
)
from agent.upload.retry import LONGEST, delay_after
from agent.upload.targets import Target

CONCURRENCY: Final = 4
"Recordings under way at once: enough to hide the latency of one storage."
_OF_THE_RECORDING: Final = (
    BadKeyError,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectUnlockedError,
    SealedError,
    NotReadyError,
)
"What is one recording's own fault, and no outage: it alone waits."


class TargetLine:
    """Recordings that one storage is to get, the oldest first."""

    def __init__(
        self,
        target: Target,
        attempt: Callable[["TargetLine", str], Awaitable[None]],
        rng: random.Random,
    ) -> None:
        """`attempt` brings one recording there, or raises AgentError or OSError."""
        self.target = target
        self.failures = 0
        "Attempts that failed since start."
        self._doubted = False
        self._rng = rng
        self._line = WaitingLine(outage=self._delay, own=lambda _: LONGEST)
        self._queue = WorkQueue(
            self._line,
            lambda recording_id: attempt(self, recording_id),
            at_once=CONCURRENCY,
            on_failed=self._put_off,
            is_own_fault=lambda error: isinstance(error, _OF_THE_RECORDING),
            on_recovered=self._recovered,
        )
        self._log = structlog.get_logger().bind(storage=target.name)

    def __len__(self) -> int:
        """Recordings that it has not got."""
        return len(self._line)

    def __iter__(self) -> Iterator[str]:
        """All of them, in the order in which they came."""
        return iter(self._line)

    @property
    def away(self) -> bool:
        """Whether this storage failed when it was last asked."""
        return self._line.failures > 0

    def add(self, recording_id: str, age: int) -> None:
        """Bring it there when it is its turn; the lower its `age`, the sooner."""
        self._queue.add(recording_id, age)

    async def run(self) -> None:
        """Work for ever."""
        await self._queue.run()

    def _delay(self, failures: int) -> float:
        return delay_after(failures, self._rng)

    def doubt(self) -> None:
        """It did not take what a start brings to it: the next that it takes is news."""
        self._doubted = True

    def took(self) -> None:
        """It has taken something."""
        if self._doubted and not self.away:  # else what waits tells, once it goes on
            self._recovered()

    def _recovered(self) -> None:
        self._doubted = False
        self._log.info("storage_back", pending=len(self))

    def _put_off(
        self, recording_id: str, error: AgentError | OSError, delay: float
    ) -> None:
        self.failures += 1
        own = isinstance(error, _OF_THE_RECORDING)
        self._log.error(
            "recording_not_storable" if own else "storing_failed",
            recording_id=recording_id,
            reason=str(error),
            pending=len(self),
            retry_in=round(delay, 1),
        )
