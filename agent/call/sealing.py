"""Closed segments: finished the oldest first, noted in the ledger, given to storage.

A segment that waits is a row, not a task: thousands may, while a disk is full or the
finishers stand still, and calls go on. Beyond `MAX_WAITING` no new one begins.
"""

from collections.abc import Callable, Coroutine
from typing import Final, Protocol

import structlog

from agent.call.open_segment import OpenSegment
from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.model.call import Outcome
from agent.model.recording import RecordingState, SegmentEnd
from agent.recording.finisher import Finished, FinishJob
from agent.recording.high_water import HighWater
from agent.recording.ledger import Ledger
from agent.recording.waiting_line import WaitingLine
from agent.recording.work_queue import WorkQueue

RETRY_DELAYS: Final = (1.0, 5.0, 30.0, 60.0)
"Seconds between attempts to finish a recording; the last one repeats."
MAX_WAITING: Final = 10_000
"Segments: 2 kB of memory each, and what a finisher does in an hour of short calls."
CLEARED: Final = 9_000
"So few must be left until calls are recorded again."


class FinishingBehindError(AgentError):
    """Recordings are made faster than they are finished."""

    permanent = False
    hint = "Check the spool's disk and CPU, and `recording.finishers`."


class Finishers(Protocol):
    """Who finishes."""

    workers: int
    "At once."

    async def finish(self, job: FinishJob) -> Finished:
        """Finish one segment. Raises AgentError or OSError; then nothing changed."""


class Uploads(Protocol):
    """Who stores."""

    def notify(self, recording_id: str) -> None:
        """A recording has been sealed."""


class Sealing:
    """Seals segments; `add` one, and it is done, however long it takes."""

    def __init__(
        self,
        *,
        finishers: Finishers,
        ledger: Ledger,
        uploader: Uploads,
        max_waiting: int = MAX_WAITING,
        cleared: int = CLEARED,
    ) -> None:
        self._finishers = finishers
        self._ledger = ledger
        self._uploader = uploader
        self.on_sealed: Callable[[str], None] = lambda _: None
        "Hears of each that is sealed, and may forget its key."
        self._segments: dict[str, OpenSegment] = {}
        self._water = HighWater(max_waiting, cleared)
        self._queue = WorkQueue(
            WaitingLine(outage=_delay, own=_delay),
            self._seal,
            at_once=finishers.workers,
            on_failed=self._put_off,
            # A full disk is everybody's; what kills a finisher, its own.
            is_own_fault=lambda error: not isinstance(error, OSError),
        )
        self._log = structlog.get_logger()
        self._tasks = TaskSet(self._task_failed)

    @property
    def waiting(self) -> int:
        """Closed segments that are not sealed yet."""
        return len(self._segments)

    @property
    def full(self) -> bool:
        """Whether so many wait that no recording should begin."""
        return self._water.high

    def check(self) -> None:
        """Raise FinishingBehindError if so many wait that no recording should begin."""
        if self.full:
            raise FinishingBehindError(
                f"{self.waiting} recordings wait to be finished."
            )

    def waiting_since(self) -> int | None:
        """When what waits longest ended, in UTC nanoseconds; None if nothing waits."""
        for segment in self._segments.values():
            return _end_of(segment).ended_at
        return None

    def start(self) -> None:
        """Begin to seal."""
        self._tasks.spawn(self._queue.run(), name="sealing")

    async def add(self, segment: OpenSegment) -> None:
        """Seal a segment whose `end` is set, as soon as its turn comes."""
        self._segments[segment.recording_id] = segment
        self._measure()
        closed = self._ledger.advance(segment.recording_id, RecordingState.CLOSED)
        await self.note(segment, closed)
        self._queue.add(segment.recording_id, _end_of(segment).ended_at)

    async def emptied(self) -> None:
        """Wait until all are sealed."""
        await self._queue.emptied()

    async def stop(self) -> None:
        """Leave the rest to the next start."""
        await self._tasks.close()

    async def note(
        self, segment: OpenSegment, change: Coroutine[object, object, None]
    ) -> None:
        """Change the ledger; what it cannot take must not keep audio from storage."""
        try:
            await change
        except AgentError as error:
            self._log.critical(
                "ledger_unwritable",
                call_id=segment.call_id,
                recording_id=segment.recording_id,
                reason=str(error),
            )

    # -- one segment --------------------------------------------------------------

    async def _seal(self, recording_id: str) -> None:
        segment = self._segments[recording_id]
        finished = await self._finishers.finish(
            FinishJob(
                recording_id=recording_id,
                journals=tuple(segment.journals),
                journal_key=segment.journal_key,
                recipient=segment.recipient,
                end=_end_of(segment),
            )
        )
        del self._segments[recording_id]
        self._measure()
        self.on_sealed(recording_id)
        await self._enter(segment, finished)
        self._tell(segment, finished)
        self._uploader.notify(recording_id)

    async def _enter(self, segment: OpenSegment, finished: Finished) -> None:
        """Note in the ledger what became of a segment."""
        ledger = self._ledger
        sealed = ledger.advance(
            segment.recording_id, RecordingState.SEALED, verdict=finished.verdict
        )
        await self.note(segment, sealed)
        if finished.outcome == Outcome.PARTIAL:
            segment.gap = True
            await self.note(segment, ledger.note_partial(segment.call_id))
        if finished.missing_ms:
            missing = ledger.note_missing(segment.call_id, finished.missing_ms)
            await self.note(segment, missing)

    def _tell(self, segment: OpenSegment, finished: Finished) -> None:
        if finished.salvaged:
            # The journal is stored with its envelope, and `open` may yet finish it.
            self._log.error(
                "sealed_unfinished",
                call_id=segment.call_id,
                recording_id=segment.recording_id,
                reason=finished.salvaged,
            )
            return
        if finished.unindexed:
            self._log.error(
                "index_key_missing",
                call_id=segment.call_id,
                recording_id=segment.recording_id,
                month=finished.unindexed,
            )
        self._log.info(
            "sealed",
            call_id=segment.call_id,
            recording_id=segment.recording_id,
            duration_ms=finished.duration_ms,
            size=finished.size,
            lost=finished.lost,
            missing_ms=finished.missing_ms,
            verdict=finished.verdict,
        )

    def _put_off(
        self, recording_id: str, error: AgentError | OSError, delay: float
    ) -> None:
        # It is kept and tried again: the key is here, and gone after a restart.
        self._log.error(
            "finishing_failed",
            call_id=self._segments[recording_id].call_id,
            recording_id=recording_id,
            reason=str(error),
            waiting=self.waiting,
            retry_in=round(delay, 1),
        )

    def _measure(self) -> None:
        """Raise or clear the alarm of too many that wait."""
        if not self._water.see(self.waiting):
            return
        if self.full:
            self._log.error("finishing_behind", waiting=self.waiting)
        else:
            self._log.warning("finishing_caught_up", waiting=self.waiting)

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)


def _delay(failures: int) -> float:
    return RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1]


def _end_of(segment: OpenSegment) -> SegmentEnd:
    if segment.end is None:
        raise ValueError("a segment that has not ended cannot be sealed")
    return segment.end
