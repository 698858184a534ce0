"""What one worker does: legs, bridges, playouts and recordings, on one loop."""

import os
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

import msgspec

from agent.common.clock import monotonic_ns, utc_ns
from agent.common.memory import MemoryRefusedError
from agent.formats.journal import SALT_SIZE, JournalHeader, JournalLimitError
from agent.media import control, events, tapping
from agent.media.announcement import Announcement
from agent.media.holdings import parts
from agent.media.leg import MediaLeg
from agent.media.loop import Loop, Timer
from agent.media.open_block import OpenBlock
from agent.media.playable import Octets, Playable, unpack
from agent.media.playout import Playout
from agent.media.sealing import seal_by_and_by
from agent.media.tap import JournalTap, Target
from agent.media.watch import Watch
from agent.media.writer import Closed, Failed, JournalWriter, Opened, reason_of
from agent.model.call import EndCause, Outcome
from agent.model.recording import SegmentEnd

_NS_PER_TICK: Final = 125_000


@dataclass(slots=True)
class _Recording:
    tap: JournalTap
    legs: tuple[str, str]
    epoch: int
    opened: bool = False


class Relay:
    """Obeys the commands of one main process after another.

    `emit` takes what is to be told; it must not call back.
    """

    def __init__(
        self,
        loop: Loop,
        emit: Callable[[events.WorkerEvent], None],
        *,
        timeout: float,
        one_way_after: float,
        silent_after: float,
        fsync_interval: float,
        rng: random.Random,
    ) -> None:
        self._loop = loop
        self._emit = emit
        self._rng = rng
        self._legs: dict[str, MediaLeg] = {}
        self._watch = Watch(
            self._legs,
            emit,
            timeout=timeout,
            one_way_after=one_way_after,
            silent_after=silent_after,
        )
        self._deaf: set[str] = set()
        "Legs that are not listened to yet."
        self._sounds: dict[str, Playable] = {}
        self._recordings: dict[str, _Recording] = {}
        self._playing: dict[str, Timer] = {}
        self._reporting: dict[str, Timer] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._writer = JournalWriter(
            fsync_interval=fsync_interval,
            notify=lambda: os.eventfd_write(self._wake, 1),
        )
        loop.add_reader(self._wake, self._on_written)
        self._writer.start()
        self._look(monotonic_ns())

    # -- commands -------------------------------------------------------------

    def obey(self, command: control.Command, descriptors: list[int]) -> None:
        """Carry one command out.

        What names a leg or a recording that is gone is void: the command and the
        end have crossed.
        """
        now_ns = monotonic_ns()
        match command:
            case control.AddSound():
                self._add_sound(command, descriptors)
            case control.OpenLeg():
                self._open_leg(command, descriptors, now_ns)
            case control.Listen():
                for name in command.legs:
                    if name in self._deaf:
                        tapping.catch_up(self._legs[name], now_ns)
                        self._listen(name)
            case control.Configure():
                self._configure(command)
            case control.Play():
                self._play(command, now_ns)
            case control.StopPlaying():
                self._stop_playing(command.leg)
            case control.Bridge():
                self._bridge(command)
            case control.Unbridge():
                self._unbridge(command.leg)
            case control.StartRecording():
                self._start_recording(command, descriptors, now_ns)
            case control.Grant():
                if (found := self._recordings.get(command.recording)) is not None:
                    found.tap.grant()
            case control.Mark():
                if (found := self._recordings.get(command.recording)) is not None:
                    found.tap.note(command.note, now_ns)
            case control.Tap():
                self._tap(command)
            case control.StopRecording():
                self._stop_recording(command.recording, command.end, now_ns)
            case control.CloseLeg():
                self._close_leg(command.leg, now_ns)
            case control.Hello() | control.Retire():
                # The worker's own business, done before it asks us.
                pass

    def _add_sound(self, command: control.AddSound, descriptors: list[int]) -> None:
        fd = descriptors.pop(0)
        try:
            size = sum(part.size for part in command.parts)
            memory: Octets = mmap(fd, size, access=ACCESS_READ) if size else b""
        finally:
            os.close(fd)
        self._sounds[command.name] = unpack(memory, command.parts)

    @property
    def idle(self) -> bool:
        """Whether there is nothing that could be lost."""
        return not self._legs and not self._recordings

    def held(self) -> Iterator[tuple[control.Held, tuple[int, ...]]]:
        """What there is, for a main process that does not know it."""
        return parts(
            (
                (
                    control.HeldLeg(
                        leg=leg.name,
                        playing=leg.playout.token if leg.playout is not None else 0,
                    ),
                    (leg.rtp.fileno(), leg.rtcp.channel.fileno()),
                )
                for leg in self._legs.values()
            ),
            (
                (
                    control.HeldRecording(
                        recording=name,
                        epoch=found.epoch,
                        opened=str(found.tap.path) if found.opened else "",
                        kept=bool(found.tap.kept_in),
                    ),
                    found.tap.kept_in,
                )
                for name, found in self._recordings.items()
            ),
        )

    # -- legs -----------------------------------------------------------------

    def _open_leg(
        self, command: control.OpenLeg, descriptors: list[int], now_ns: int
    ) -> None:
        rtp, rtcp = (socket.socket(fileno=fd) for fd in descriptors[:2])
        del descriptors[:2]
        leg = MediaLeg(
            command.leg,
            rtp,
            rtcp,
            self._rng,
            on_latched=lambda leg: self._emit(events.Latched(leg=leg.name)),
            on_source=self._on_source,
        )
        self._legs[leg.name] = leg
        if command.resumed:
            leg.adopt_latch()
            self._deaf.add(leg.name)
        else:
            self._listen(leg.name)
        self._schedule_report(leg, now_ns)

    def _listen(self, name: str) -> None:
        leg = self._legs[name]
        self._deaf.discard(name)
        self._loop.add_reader(leg.rtp.fileno(), leg.on_rtp)
        self._loop.add_reader(leg.rtcp.channel.fileno(), leg.on_rtcp)

    def _on_source(self, leg: MediaLeg) -> None:
        reception = leg.reception
        self._emit(
            events.SourceChanged(
                leg=leg.name,
                ssrc_changes=reception.changes + reception.rivals,
                payload_types=leg.strange_payload_types,
            )
        )

    def _configure(self, command: control.Configure) -> None:
        leg = self._legs.get(command.leg)
        if leg is None:
            return
        leg.configure(command.audio, command.latch)
        self._rewire(leg)

    def _rewire(self, leg: MediaLeg) -> None:
        leg.rewire()
        if leg.partner is not None:
            leg.partner.rewire()

    def _bridge(self, command: control.Bridge) -> None:
        a, b = self._legs.get(command.a), self._legs.get(command.b)
        if a is None or b is None or a is b or a.partner is b:
            # A main process that is new repeats what it knows.
            return
        for leg in (a, b):
            self._stop_playing(leg.name)
            if leg.partner not in {None, a, b}:
                self._unbridge(leg.name)
        a.partner, b.partner = b, a
        self._rewire(a)

    def _unbridge(self, name: str) -> None:
        leg = self._legs.get(name)
        if leg is None or (partner := leg.partner) is None:
            return
        leg.partner = partner.partner = None
        leg.rewire()
        partner.rewire()

    def _close_leg(self, name: str, now_ns: int) -> None:
        leg = self._legs.get(name)
        if leg is None:
            return
        self._stop_playing(name)
        self._unbridge(name)
        del self._legs[name]
        self._deaf.discard(name)
        self._reporting.pop(name).cancel()
        leg.send_report(now_ns, bye=True)
        self._loop.remove(leg.rtp.fileno())
        self._loop.remove(leg.rtcp.channel.fileno())
        leg.close()
        self._emit(events.LegClosed(leg=name, stats=leg.stats))

    def _schedule_report(self, leg: MediaLeg, now_ns: int) -> None:
        def fire(now_ns: int) -> None:
            leg.send_report(now_ns)
            self._schedule_report(leg, now_ns)

        self._reporting[leg.name] = self._loop.call_at(
            now_ns + leg.rtcp.reports.delay_ns(), fire
        )

    def _look(self, now_ns: int) -> None:
        self._watch.look(now_ns)
        self._loop.call_at(now_ns + self._watch.step_ns, self._look)

    # -- playouts -------------------------------------------------------------

    def _play(self, command: control.Play, now_ns: int) -> None:
        leg = self._legs.get(command.leg)
        sounds = [self._sounds.get(name) for name in command.sounds]
        known = [sound for sound in sounds if sound is not None]
        if leg is not None:
            self._stop_playing(leg.name)
        start_ns = now_ns
        if leg is not None and leg.sender.sent_ns:
            # In step with what was sent before: a frame takes its time.
            start_ns = max(now_ns, leg.sender.sent_ns + leg.sender.duration_ns)
        playout = Playout(
            command.token, Announcement(known, loop=command.loop, start_ns=start_ns)
        )
        if leg is None or len(known) < len(sounds) or not known:
            self._tell_played(command.leg, playout, completed=False)
            return
        leg.playout = playout
        self._rewire(leg)
        self._schedule_frames(leg, playout)

    def _schedule_frames(self, leg: MediaLeg, playout: Playout) -> None:
        def fire(now_ns: int) -> None:
            if leg.play(playout, now_ns):
                self._schedule_frames(leg, playout)
            else:
                del self._playing[leg.name]
                self._end_playout(leg, playout, completed=not playout.failed)

        at_ns = playout.announcement.due_ns
        if not leg.may_send:
            # Held, or not negotiated yet: look again a frame later.
            at_ns = monotonic_ns() + leg.frame_ticks * _NS_PER_TICK
        self._playing[leg.name] = self._loop.call_at(at_ns, fire)

    def _stop_playing(self, name: str) -> None:
        leg = self._legs.get(name)
        if leg is None or (playout := leg.playout) is None:
            return
        self._playing.pop(name).cancel()
        self._end_playout(leg, playout, completed=False)

    def _end_playout(self, leg: MediaLeg, playout: Playout, *, completed: bool) -> None:
        leg.playout = None
        self._rewire(leg)
        self._tell_played(leg.name, playout, completed=completed)

    def _tell_played(self, leg: str, playout: Playout, *, completed: bool) -> None:
        self._emit(
            events.PlayEnded(
                leg=leg,
                token=playout.token,
                completed=completed,
                frames=playout.frames,
                sent_ms=playout.sent_ms,
                started_ns=playout.started_ns,
                ended_ns=playout.ended_ns,
            )
        )

    # -- recordings -----------------------------------------------------------

    def _start_recording(
        self, command: control.StartRecording, descriptors: list[int], now_ns: int
    ) -> None:
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
        self._recordings[name] = _Recording(tap, command.legs, command.epoch)
        for index, (on, at_ns) in enumerate(
            zip(command.tapped, command.since_ns, strict=True)
        ):
            if not on:
                # It was told to stop, and may have died before it did.
                tap.leave_out(index, at_ns)
        tap.begin(command.notes, now_ns)
        for index, (leg, on) in enumerate(zip(legs, command.tapped, strict=True)):
            if leg is not None and on and not tap.failed:
                leg.tap, leg.tap_index = tap, index
                leg.tap_since_ns = command.since_ns[index]
        seal_by_and_by(self._loop, tap, lambda: name in self._recordings, now_ns)

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

    def _tap(self, command: control.Tap) -> None:
        found = self._recordings.get(command.recording)
        leg = self._legs.get(command.leg)
        if found is None or leg is None or command.leg not in found.legs:
            return
        index = found.legs.index(command.leg)
        if not command.on:
            tapping.stop(leg, found.tap, index, command.at_ns)
        elif not found.tap.ended:
            tapping.start(leg, found.tap, index, command.at_ns)

    def _untap(self, found: _Recording) -> None:
        for name in found.legs:
            leg = self._legs.get(name)
            if leg is not None and leg.tap is found.tap:
                leg.tap = None

    def _stop_recording(self, name: str, end: bytes, now_ns: int) -> None:
        if (found := self._recordings.get(name)) is not None:
            self._untap(found)
            found.tap.end(end, now_ns)

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

    def finish(self, cause: EndCause) -> None:
        """Close every journal, with an end if it has none, and every leg.

        What was never granted is forgotten: nobody could open it.
        """
        now_ns = monotonic_ns()
        end = SegmentEnd(
            ended_at=utc_ns(),
            ended_monotonic_ns=now_ns,
            cause=cause,
            outcome=Outcome.PARTIAL,
        )
        for name in list(self._recordings):
            self._stop_recording(name, msgspec.json.encode(end), now_ns)
        for name in list(self._legs):
            self._close_leg(name, now_ns)
        self._writer.stop()
        self._on_written_at_end()
        self._loop.remove(self._wake)
        os.close(self._wake)

    def _on_written_at_end(self) -> None:
        os.eventfd_write(self._wake, 1)
        self._on_written()
