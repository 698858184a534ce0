"""The journals of one worker: which legs they tap, and what their writer tells."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.common.clock import monotonic, utc_ns
from agent.common.memory import MemoryRefusedError
from agent.formats.journal import SALT_SIZE, JournalHeader, JournalLimitError
from agent.media import control, events, tapping
from agent.media.leg import MediaLeg
from agent.media.loop import Loop
from agent.media.open_block import OpenBlock
from agent.media.sealing import seal_by_and_by
from agent.media.tap import JournalTap, Target
from agent.media.writer import Closed, Failed, JournalWriter, Opened, reason_of
from agent.model.call import EndCause, Outcome
from agent.model.recording import SegmentEnd


@dataclass(slots=True)
class _Recording:
    tap: JournalTap
    legs: dict[int, str]
    "By their index."
    epoch: int
    opened: bool = False
    end: bytes | None = None
    "The last note, once it was told to stop."

    def index(self, leg: str) -> int | None:
        """Of a leg, if the recording has it."""
        found = (index for index, name in self.legs.items() if name == leg)
        return next(found, None)


class Journals:
    """Recordings by their ids; what names one that is gone is void."""

    def __init__(
        self,
        loop: Loop,
        emit: Callable[[events.WorkerEvent], None],
        legs: Mapping[str, MediaLeg],
        *,
        fsync_interval: float,
    ) -> None:
        self._loop = loop
        self._emit = emit
        self._legs = legs
        self._recordings: dict[str, _Recording] = {}
        self._ending: dict[str, tuple[JournalTap, int]] = {}
        "By leg, what was told to stop in this round, and the leg's index there."
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._writer = JournalWriter(
            fsync_interval=fsync_interval,
            notify=lambda: os.eventfd_write(self._wake, 1),
        )
        loop.add_reader(self._wake, self._on_written)
        self._writer.start()

    def __len__(self) -> int:
        return len(self._recordings)

    def lag(self) -> float:
        """Seconds for which bytes may have waited to be durable; 0 if none do."""
        return self._writer.lag(monotonic())

    def held(self) -> Iterator[tuple[control.HeldRecording, tuple[int, ...]]]:
        """Those there are, each with the memory that others hold as well."""
        for name, found in self._recordings.items():
            yield (
                control.HeldRecording(
                    recording=name,
                    epoch=found.epoch,
                    opened=str(found.tap.path) if found.opened else "",
                    kept=bool(found.tap.kept_in),
                ),
                found.tap.kept_in,
            )

    def start(
        self, command: control.StartRecording, descriptors: list[int], now_ns: int
    ) -> None:
        """Tap legs, or go on where another worker's journal ends."""
        name = command.recording
        open_block = None
        if command.kept:
            open_block = self._open_block(name, descriptors.pop(0))
        legs = [self._legs.get(leg) for leg in command.legs]
        if name in self._recordings:
            self._fail(name, "twice")
            return
        if None in legs and not command.epoch:
            # Of one that another worker had, what is there must still be kept.
            self._fail(name, "no-leg")
            return
        header = JournalHeader(
            recording_id=name,
            epoch=command.epoch,
            key_id=command.key_id,
            salt=os.urandom(SALT_SIZE),
            utc_ns=utc_ns(),
            monotonic_ns=now_ns,
        )
        try:
            tap = JournalTap(
                Target(
                    header=header,
                    journal_key=command.journal_key,
                    path=Path(command.path),
                ),
                self._writer,
                lambda reason: self._fail(name, reason),
                now_ns,
                open_block,
            )
        except JournalLimitError:
            self._fail(name, "bad-header")
            return
        self._recordings[name] = _Recording(
            tap, dict(enumerate(command.legs)), command.epoch
        )
        for index, (on, at_ns) in enumerate(
            zip(command.tapped, command.since_ns, strict=True)
        ):
            if not on:
                # It was told to stop, and may have died before it did.
                tap.leave_out(index, at_ns)
        tap.begin(command.notes, now_ns, command.first)
        for index, (leg, on) in enumerate(zip(legs, command.tapped, strict=True)):
            if leg is not None and on and not tap.failed:
                leg.tap, leg.tap_index = tap, index
                leg.tap_since_ns = command.since_ns[index]
                self._take_over(leg, tap)
            if leg is not None and (last := tap.last_heard.get(index)):
                leg.security.join_behind(last, now_ns)
        seal_by_and_by(self._loop, tap, lambda: name in self._recordings, now_ns)

    def _take_over(self, leg: MediaLeg, tap: JournalTap) -> None:
        """Have what came since a recording of the same leg was to end, in its place."""
        former = self._ending.pop(leg.name, None)
        if former is not None and leg.tap_since_ns:
            ending, index = former
            ending.move_since(index, leg.tap_since_ns, tap, leg.tap_index)

    def _open_block(self, recording: str, fd: int) -> OpenBlock | None:
        """The memory of a recording, if the kernel will keep it off the disk.

        If it will not, the call is recorded all the same: what a dying worker then
        loses is what it has not written, as the gap says.
        """
        try:
            return OpenBlock(fd)
        except (MemoryRefusedError, OSError) as error:
            os.close(fd)
            self._emit(events.MemoryRefused(recording=recording, reason=str(error)))
            return None

    def grant(self, recording: str) -> None:
        """The journal may be written."""
        if (found := self._recordings.get(recording)) is not None:
            found.tap.grant()

    def mark(self, recording: str, note: bytes, now_ns: int) -> None:
        """Put a note into the journal."""
        if (found := self._recordings.get(recording)) is not None:
            found.tap.note(note, now_ns)

    def add_leg(self, command: control.AddLeg, now_ns: int) -> None:
        """Tap one more leg, behind the note that tells of it."""
        found = self._recordings.get(command.recording)
        if found is None or found.index(command.leg) is not None:
            # A main process that is new repeats what it knows.
            return
        replaced = self._legs.get(found.legs.get(command.index, ""))
        if replaced is not None and replaced.tap is found.tap:
            # The one before did not live to remember that leg.
            replaced.tap = None
        found.legs[command.index] = command.leg
        found.tap.note(command.note, now_ns)
        leg = self._legs.get(command.leg)
        if leg is not None and not (found.tap.failed or found.end is not None):
            leg.tap, leg.tap_index, leg.tap_since_ns = found.tap, command.index, 0

    def tap(self, command: control.Tap) -> None:
        """Journal what a leg hears, or nothing of it."""
        found = self._recordings.get(command.recording)
        leg = self._legs.get(command.leg)
        index = None if found is None else found.index(command.leg)
        if found is None or leg is None or index is None:
            return
        if not command.on:
            tapping.stop(leg, found.tap, index, command.at_ns)
        elif found.end is None:
            tapping.start(leg, found.tap, index, command.at_ns)

    def _tapped(self, found: _Recording) -> list[MediaLeg]:
        legs = [self._legs.get(name) for name in found.legs.values()]
        return [leg for leg in legs if leg is not None and leg.tap is found.tap]

    def _untap(self, found: _Recording) -> None:
        for leg in self._tapped(found):
            leg.tap = None

    def stop(self, name: str, end: bytes, now_ns: int) -> None:
        """Write the last note; the journal is closed once all is written.

        What came in time and still waits to be read is written before it. It is written
        when the round is over: until then, a recording of the same legs that starts as
        of a moment before may take over what came since.
        """
        found = self._recordings.get(name)
        if found is None or found.end is not None:
            return
        for leg in self._tapped(found):
            leg.take_before(now_ns)
        self._untap(found)
        found.end = end
        for index, leg_name in found.legs.items():
            self._ending[leg_name] = found.tap, index
        self._loop.call_at(now_ns, self._end_round)

    def _end_round(self, now_ns: int) -> None:
        self._ending.clear()
        for found in list(self._recordings.values()):
            if found.end is not None:
                # Again, of one that is not closed yet: no matter.
                found.tap.end(found.end, now_ns)

    def _fail(self, name: str, reason: str, errno: int | None = None) -> None:
        found = self._recordings.pop(name, None)
        if found is not None:
            self._untap(found)
            found.tap.close()
        self._emit(events.RecordingFailed(recording=name, reason=reason, errno=errno))

    def _on_written(self) -> None:
        """The writer's thread has told something."""
        os.eventfd_read(self._wake)
        results = self._writer.results
        while results:
            result = results.popleft()
            found = self._recordings.get(result.journal)
            if found is None:
                # It has failed here already, and that was told.
                continue
            match result:
                case Opened():
                    found.opened = True
                    self._emit(
                        events.RecordingOpened(
                            recording=result.journal, path=str(found.tap.path)
                        )
                    )
                case Failed():
                    found.tap.failed = True
                    reason = reason_of(result.errno)
                    self._fail(result.journal, reason, result.errno)
                case Closed():
                    del self._recordings[result.journal]
                    found.tap.close()
                    self._emit(
                        events.RecordingClosed(
                            recording=result.journal,
                            path=str(found.tap.path),
                            packets=found.tap.packets,
                            blocks=found.tap.blocks,
                            bytes=result.bytes,
                        )
                    )

    # -- the end --------------------------------------------------------------

    def finish(self, cause: EndCause, now_ns: int) -> None:
        """Write an end into every journal that has none."""
        end = SegmentEnd(
            ended_at=utc_ns(),
            ended_monotonic_ns=now_ns,
            cause=cause,
            outcome=Outcome.PARTIAL,
        )
        for name in list(self._recordings):
            self.stop(name, msgspec.json.encode(end), now_ns)
        self._end_round(now_ns)

    def close(self) -> None:
        """Close every journal; returns once all is on the disk."""
        self._writer.stop()
        os.eventfd_write(self._wake, 1)
        self._on_written()
        self._loop.remove(self._wake)
        os.close(self._wake)
