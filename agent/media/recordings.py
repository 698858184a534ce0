"""The recordings of a pool: what their workers are told, and their successors."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from agent.common.clock import monotonic_ns, utc_ns
from agent.common.memory import MemoryRefusedError
from agent.media import control
from agent.media.crew import Crew
from agent.media.errors import ControlError
from agent.media.events import MediaEvent, MemoryRefused, RecordingFailed
from agent.media.memory import RecordingMemory
from agent.media.open_block import create_open_block
from agent.media.state import RecordingState
from agent.model.recording import MAX_LEGS, SegmentMark

TWICE_NS: Final = 60_000_000_000
"""A recording that is left without a worker twice in this time is given up."""


class Recordings:
    """Recordings by name, each in the worker of its legs.

    What comes of them is told to `later`, which must not call back at once. What
    names a recording that is not there is void.
    """

    def __init__(
        self, crew: Crew, journals: Path, later: Callable[[MediaEvent], None]
    ) -> None:
        self._crew = crew
        self._journals = journals
        self._later = later
        self._recordings: dict[str, RecordingMemory] = {}
        self._strays: set[str] = set()
        "Which nobody has asked for, and that are being closed."
        self._turn = asyncio.Event()
        "Set when one is gone."
        self._refusal_told = False

    def __len__(self) -> int:
        return len(self._recordings)

    def start(
        self,
        recording: str,
        worker: int,
        *,
        call: str,
        legs: tuple[str, ...],
        journal_key: bytes,
        key_id: bytes,
        begin: bytes,
        tapped: tuple[bool, ...],
        since_ns: int = 0,
    ) -> None:
        """Begin one of legs that are in `worker`; what goes wrong is told.

        `tapped`: of each, whether it is journalled from the start. `since_ns`: when
        one of the same legs has ended that was stopped just before.
        """
        if self._crew.given_up(worker):
            self.refuse(recording, "no-worker")
            return
        memory = RecordingMemory(
            name=recording,
            call=call,
            worker=worker,
            legs=legs,
            journal_key=journal_key,
            key_id=key_id,
            begin=begin,
            started_ns=since_ns or monotonic_ns(),
            tapped=tapped,
            since_ns=(since_ns,) * len(legs),
            lost=not self._crew.up(worker),
            open_block=self._open_block(recording, len(legs)),
        )
        try:
            self._crew.tell(worker, *memory.start_command(self._journals))
        except ControlError:
            memory.close()
            self.refuse(recording, "note-too-long")
            return
        self._recordings[recording] = memory

    def add_leg(
        self, recording: str, leg: str, worker: int, mark: SegmentMark
    ) -> int | None:
        """Journal one more leg, which is in `worker`; its index, None if it cannot be.

        A leg that it has already keeps its index, and is told nothing.
        """
        found = self._recordings.get(recording)
        if found is None or found.end is not None or found.worker != worker:
            return None
        if leg in found.legs:
            return found.legs.index(leg)
        if len(found.legs) >= MAX_LEGS:
            return None
        message = found.add_leg(leg, mark)
        self._crew.tell(worker, message)
        return message.index

    def refuse(self, recording: str, reason: str) -> None:
        """Tell that a recording has not begun, or cannot go on."""
        self._later(RecordingFailed(recording=recording, reason=reason))

    def grant(self, recording: str) -> None:
        """Let the journal be created and written."""
        if (found := self._recordings.get(recording)) is not None:
            found.granted = True
            self._crew.tell(found.worker, control.Grant(recording=recording))

    def mark(self, recording: str, note: bytes) -> None:
        """Put a note into the journal, if it has no end yet."""
        found = self._recordings.get(recording)
        if found is not None and found.end is None:
            found.note(note, monotonic_ns())
            self._crew.tell(found.worker, control.Mark(recording=recording, note=note))

    def tap(self, recording: str, leg: str, *, on: bool, at_ns: int) -> None:
        """Journal one leg from `at_ns` on, or stop doing so then."""
        if (found := self._recordings.get(recording)) is not None:
            found.tap(leg, on=on, at_ns=at_ns)
            message = control.Tap(recording=recording, leg=leg, on=on, at_ns=at_ns)
            self._crew.tell(found.worker, message)

    def stop(self, recording: str, end: bytes) -> None:
        """Write the last note and close the journal."""
        found = self._recordings.get(recording)
        if found is None or found.end is not None:
            return
        found.end = end
        # One that has no worker now is closed by the next.
        message = control.StopRecording(recording=recording, end=end)
        self._crew.tell(found.worker, message)

    def states_of(self, call: str) -> tuple[RecordingState, ...]:
        """What another main process needs of a call's recordings."""
        found = self._recordings.values()
        return tuple(memory.state for memory in found if memory.call == call)

    def forget(self, recording: str) -> None:
        """It is closed, or has failed."""
        if (found := self._recordings.pop(recording, None)) is not None:
            found.close()
        self._strays.discard(recording)
        self._turn.set()

    def clear(self) -> None:
        """Forget everything."""
        for recording in list(self._recordings):
            self.forget(recording)

    # -- the death of a worker ------------------------------------------------

    def names_in(self, worker: int) -> tuple[str, ...]:
        """Recordings that a worker has."""
        return tuple(found.name for found in self._in(worker))

    def worker_lost(self, worker: int) -> None:
        """All of it is for a successor to go on with."""
        for recording in self._in(worker):
            recording.lost = True
            # One that died before it had begun has not shortened the gap.
            recording.lost_ns = recording.lost_ns or self._crew.lost_ns(worker)

    def worker_given_up(self, worker: int) -> None:
        """There will be no successor for a while, which a recording waits for.

        Once: what is left again before long may be what the workers die of.
        """
        now_ns = monotonic_ns()
        for recording in self._in(worker):
            before_ns, recording.given_up_ns = recording.given_up_ns, now_ns
            if before_ns and now_ns - before_ns < TWICE_NS:
                self._give_up(recording)

    def tell_anew(self, worker: int, call: str = "") -> None:
        """Go on in a fresh worker, in new journals that begin with the gap.

        With those of one call, or with all that were not told yet.
        """
        for recording in self._in(worker):
            if recording.lost and call in {"", recording.call}:
                recording.lost = False
                self._tell_anew(recording)

    def opened(self, recording: str) -> None:
        """Its worker has begun to write."""
        if (found := self._recordings.get(recording)) is not None:
            found.lost_ns = 0

    def resume(self, memory: RecordingMemory, *, lost: bool) -> None:
        """Go on with a recording of an earlier main process.

        If its worker is `lost` too, in a new journal; what is missing then begins when
        the last one was written last. One that was ending by then is over.
        """
        self._recordings[memory.name] = memory
        if not lost:
            for message in memory.repeated():
                self._crew.tell(memory.worker, message)
            return
        memory.open_block = self._open_block(memory.name, len(memory.legs))
        path = memory.path(self._journals)
        try:
            age_ns = utc_ns() - path.stat().st_mtime_ns
        except OSError:
            # It was never granted, or is stored under another name by now.
            lost_ns = memory.started_ns
        else:
            # By a clock that may have been set since: not before it had begun.
            lost_ns = max(memory.started_ns, monotonic_ns() - max(0, age_ns))
        memory.lost_ns = lost_ns
        self._tell_anew(memory)

    def not_kept(self, refused: MemoryRefused) -> None:
        """A worker cannot keep what it has not written; a gap then begins earlier."""
        if (found := self._recordings.get(refused.recording)) is not None:
            found.close()
        if not self._refusal_told:
            self._refusal_told = True
            self._later(refused)

    async def gone(self, names: Collection[str]) -> None:
        """Wait until none of these is in a worker any more."""
        self._strays.update(names)
        while self._strays:
            await self._turn.wait()
            self._turn.clear()

    def _open_block(self, recording: str, legs: int) -> int | None:
        try:
            return create_open_block(legs)
        except MemoryRefusedError as error:
            # It is recorded all the same.
            self.not_kept(MemoryRefused(recording=recording, reason=str(error)))
            return None

    def _tell_anew(self, memory: RecordingMemory) -> None:
        for message, fds in memory.commands(self._journals, monotonic_ns()):
            self._crew.tell(memory.worker, message, fds)

    def _in(self, worker: int) -> list[RecordingMemory]:
        return [found for found in self._recordings.values() if found.worker == worker]

    def _give_up(self, recording: RecordingMemory) -> None:
        self.forget(recording.name)
        self.refuse(recording.name, "worker-lost")
