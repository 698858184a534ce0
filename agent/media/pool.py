"""The media workers, as call control sees them: legs, bridges, sounds, recordings.

All methods return at once (`async` ones: nearly); what comes of them is told by
events. The pool remembers what every worker was told, and keeps a duplicate of every
socket, so that a dead worker's successor goes on where it stopped.
"""

import asyncio
import contextlib
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from agent.common.clock import monotonic, monotonic_ns
from agent.common.files import make_private_directory
from agent.media import control
from agent.media.config import MediaConfig
from agent.media.errors import ControlError, MediaError, NoPortsError, NoWorkerError
from agent.media.events import (
    KeysSpent,
    Latched,
    LegClosed,
    LegStats,
    MediaEvent,
    MediaHeard,
    MediaQuiet,
    MediaRejected,
    PlayEnded,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    SourceChanged,
    WorkerLost,
    WorkerReady,
)
from agent.media.link import retire_orphans
from agent.media.memory import LegMemory, RecordingMemory, leg_commands
from agent.media.placement import Placement
from agent.media.playable import pack
from agent.media.ports import PortPool
from agent.media.reception import canonical_host
from agent.media.sound import Sound
from agent.media.supervisor import Supervisor
from agent.model.media import Address, Latch, NegotiatedAudio

__all__ = [
    "KeysSpent",
    "Latched",
    "LegClosed",
    "LegStats",
    "MediaError",
    "MediaEvent",
    "MediaHeard",
    "MediaPool",
    "MediaQuiet",
    "MediaRejected",
    "NoPortsError",
    "NoWorkerError",
    "PlayEnded",
    "PoolStats",
    "RecordingClosed",
    "RecordingFailed",
    "RecordingOpened",
    "SourceChanged",
    "WorkerLost",
    "WorkerReady",
    "retire_orphans",
]

READY_SECONDS: Final = 3.0
"How long a new leg waits for a worker that is being replaced."


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """Figures of the pool as it is now."""

    workers_up: int
    workers_lost: int
    "Since the start."
    legs: int
    recordings: int
    ports_free: int
    ports_draining: int


class MediaPool:
    """Media worker processes, and all that runs in them.

    Commands about a leg or a recording that is not there are void. Events come from
    the event loop, never from within a method call.
    """

    def __init__(
        self,
        config: MediaConfig,
        *,
        runtime_directory: Path,
        on_event: Callable[[MediaEvent], None],
        journal_directory: Path,
    ) -> None:
        self._config = config
        self._directory = runtime_directory
        self._journals = journal_directory
        self._on_event = on_event
        first, last = config.ports
        self._ports = PortPool(first, last, drain=config.drain)
        hello = control.Hello(
            version=control.VERSION,
            timeout=config.timeout,
            fsync_interval=config.fsync_interval,
        )
        self._workers = [
            Supervisor(
                index,
                runtime_directory / f"media-{index}.sock",
                hello,
                on_report=self._on_report,
                on_lost=self._on_lost,
                on_ready=self._on_ready,
                on_given_up=self._on_given_up,
            )
            for index in range(config.workers or os.cpu_count() or 1)
        ]
        self._lost_ns = [0] * len(self._workers)
        self._legs: dict[str, LegMemory] = {}
        self._placement = Placement()
        self._recordings: dict[str, RecordingMemory] = {}
        self._sounds: dict[str, tuple[control.AddSound, int]] = {}
        self._tokens = count(1)
        self._sweep: asyncio.TimerHandle | None = None
        self._turn = asyncio.Event()
        "Set, and replaced, whenever a worker comes back."

    # -- life -----------------------------------------------------------------

    async def start(self) -> None:
        """Spawn the workers and shake hands with each. Raises MediaError.

        Allows this process as many descriptors as it may have: each leg holds two.
        Workers that a dead main process left behind close their journals first.
        """
        try:
            make_private_directory(self._directory)
        except OSError as error:
            raise MediaError(f"{self._directory} cannot be used: {error}.") from error
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        await retire_orphans(self._directory)
        results = await asyncio.gather(
            *(worker.start() for worker in self._workers), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                await self.stop()
                raise result

    async def stop(self) -> None:
        """Close every journal and leg, end the workers, give the ports back."""
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for leg in self._legs.values():
            leg.ports.close()
        self._legs.clear()
        self._placement.clear()
        self._recordings.clear()
        self._ports.close()
        for _, fd in self._sounds.values():
            os.close(fd)
        self._sounds.clear()

    @property
    def workers_up(self) -> int:
        """Workers that take legs."""
        return sum(worker.up for worker in self._workers)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that are up."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    @property
    def stats(self) -> PoolStats:
        """Figures for metrics."""
        return PoolStats(
            workers_up=self.workers_up,
            workers_lost=sum(worker.lost for worker in self._workers),
            legs=len(self._legs),
            recordings=len(self._recordings),
            ports_free=self._ports.free,
            ports_draining=self._ports.draining,
        )

    def flush(self) -> None:
        """Let the workers know now, and not when the loop turns next.

        To be called before a peer is told something that has it send media.
        """
        for worker in self._workers:
            worker.flush()

    # -- sounds ---------------------------------------------------------------

    def add_sound(self, sound: Sound) -> None:
        """Give a sound to every worker, present and future, under its name.

        Raises OSError if there is no memory for it.
        """
        if sound.name in self._sounds:
            return
        fd = os.memfd_create("sound", os.MFD_CLOEXEC)
        with open(fd, "wb", closefd=False) as file:
            memory, parts = pack(sound)
            file.write(memory)
        message = control.AddSound(name=sound.name, parts=parts)
        self._sounds[sound.name] = message, fd
        for worker in self._workers:
            worker.tell(message, (fd,))

    # -- legs -----------------------------------------------------------------

    async def open_leg(
        self, call: str, leg: str, *, address: str | None = None
    ) -> Address:
        """Bind a port pair for a new leg; all legs of one call share a worker.

        Returns the address for SDP; RTCP is the port above. Raises NoPortsError,
        NoWorkerError, or MediaError if the leg's name is taken.
        """
        worker = await self._worker_for(call)
        if leg in self._legs:
            raise MediaError("There is a leg of this name already.")
        local = address or self._config.address
        ports = self._ports.allocate(local)
        memory = LegMemory(leg, call, worker.index, ports)
        self._legs[leg] = memory
        self._placement.add(call, leg, worker.index)
        worker.tell(*memory.open_command(resumed=False))
        told = local if address else self._config.advertised or local
        return Address(told, ports.port)

    async def _worker_for(self, call: str) -> Supervisor:
        candidates = self._candidates(call)
        if candidates and not any(worker.up for worker in candidates):
            # One that is being replaced is back in a fraction of a second.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    while not any(worker.up for worker in self._candidates(call)):
                        await self._turn.wait()
            candidates = self._candidates(call)
        ready = [worker for worker in candidates if worker.up]
        if not ready:
            raise NoWorkerError("No media worker is running.")
        index = self._placement.least_loaded([worker.index for worker in ready])
        return self._workers[index]

    def _candidates(self, call: str) -> list[Supervisor]:
        placed = self._placement.worker_of(call)
        workers = self._workers if placed is None else [self._workers[placed]]
        return [worker for worker in workers if not worker.given_up]

    def configure(
        self, leg: str, audio: NegotiatedAudio, *, latch: Latch = Latch.ADDRESS
    ) -> None:
        """Tell what was (re)negotiated; the latch opens again for a new remote only.

        Raises MediaError if a remote host is no IP address.
        """
        for remote in (audio.remote, audio.remote_rtcp):
            try:
                canonical_host(remote.host)
            except ValueError:
                raise MediaError("A remote media address is no IP address.") from None
        if (found := self._open(leg)) is not None:
            found.configured = control.Configure(leg=leg, audio=audio, latch=latch)
            self._tell(found, found.configured)

    def close_leg(self, leg: str) -> None:
        """Say RTCP BYE and drain the ports; ends in LegClosed."""
        found = self._open(leg)
        if found is None:
            return
        found.part()
        found.closing = True
        worker = self._workers[found.worker]
        if worker.up:
            worker.tell(control.CloseLeg(leg=leg))
        else:
            self._break_off_play(found)
            self._later(LegClosed(leg=leg, stats=LegStats()))
            self._forget(found)

    def move_leg(self, leg: str, call: str) -> None:
        """Let a leg go on in another call, and in that call's worker.

        It is parted from its partner, and what plays to it is broken off. In another
        worker it is a new RTP source, as after the death of one; its ports stay.
        """
        found = self._open(leg)
        if found is None:
            return
        found.part()
        self._silence(found)
        old, placed = found.worker, self._placement.worker_of(call)
        new = old if placed is None else placed
        self._placement.remove(found.call, leg)
        self._placement.add(call, leg, new)
        found.call, found.worker = call, new
        if new == old:
            self._tell(found, control.Unbridge(leg=leg))
            return
        if found.spend_key():
            self._later(KeysSpent(leg=leg))
        if self._workers[old].up:
            found.left.append(old)
            self._workers[old].tell(control.CloseLeg(leg=leg))
        if self._workers[new].up:
            # One that is not up is told everything when it is.
            for addressed in leg_commands([found]):
                self._workers[new].tell(*addressed)

    def _open(self, leg: str) -> LegMemory | None:
        found = self._legs.get(leg)
        return None if found is None or found.closing else found

    def _forget(self, leg: LegMemory) -> None:
        """The worker has let go of the sockets: nobody reads them but we."""
        del self._legs[leg.name]
        self._placement.remove(leg.call, leg.name)
        self._ports.release(leg.ports, monotonic())
        self._schedule_sweep()

    def _schedule_sweep(self) -> None:
        due = self._ports.get_timer()
        if self._sweep is None and due is not None:
            self._sweep = asyncio.get_running_loop().call_later(
                max(0.0, due - monotonic()), self._fire_sweep
            )

    def _fire_sweep(self) -> None:
        self._sweep = None
        self._ports.sweep(monotonic())
        self._schedule_sweep()

    def _tell(self, leg: LegMemory, message: control.Command) -> None:
        self._workers[leg.worker].tell(message)

    # -- what a leg hears -----------------------------------------------------

    def play(self, leg: str, sounds: Sequence[str], *, loop: bool = False) -> int:
        """Play sounds one after the other, in place of what plays.

        Returns a token for PlayEnded, which comes in any case; at once, and not
        completed, if the leg or a sound is not there.
        """
        token = next(self._tokens)
        message = control.Play(leg=leg, token=token, sounds=tuple(sounds), loop=loop)
        found = self._open(leg)
        if found is None or self._workers[found.worker].given_up:
            self._later(_unplayed(message))
            return token
        if not self._workers[found.worker].up:
            self._break_off_play(found)
        found.play = message
        self._tell(found, message)
        return token

    def stop_playing(self, leg: str) -> None:
        """Break off what plays."""
        if (found := self._open(leg)) is not None:
            self._silence(found)

    def _silence(self, leg: LegMemory) -> None:
        if self._workers[leg.worker].up:
            self._tell(leg, control.StopPlaying(leg=leg.name))
        else:
            self._break_off_play(leg)

    def _break_off_play(self, leg: LegMemory) -> None:
        """There is no worker that could tell PlayEnded."""
        if leg.play is not None:
            self._later(_unplayed(leg.play))
            leg.play = None

    def bridge(self, a: str, b: str) -> None:
        """Relay both ways, in place of what plays to either.

        What is played later to a bridged leg suspends the relay towards it.
        """
        first, second = self._open(a), self._open(b)
        if (
            first is None
            or second is None
            or first is second
            or first.worker != second.worker
        ):
            return
        for leg in (first, second):
            if leg.play is not None:
                self._silence(leg)
        first.join(second)
        self._tell(first, control.Bridge(a=a, b=b))

    def unbridge(self, a: str) -> None:
        """Part a leg from its partner."""
        if (found := self._open(a)) is not None:
            found.part()
            self._tell(found, control.Unbridge(leg=a))

    # -- recordings -----------------------------------------------------------

    def start_recording(
        self,
        recording: str,
        *,
        legs: tuple[str, str],
        journal_key: bytes,
        key_id: bytes,
        begin: bytes,
    ) -> None:
        """Tap a (customer, officer) pair of legs at once.

        Blocks stay in the worker's memory, for 30 s at most, until `grant_journal`.
        What goes wrong is told by RecordingFailed.
        """
        places = {found.worker for leg in legs if (found := self._open(leg))}
        if len(places) != 1 or None in map(self._open, legs):
            self._later(RecordingFailed(recording=recording, reason="no-leg"))
            return
        place = places.pop()
        worker = self._workers[place]
        if worker.given_up:
            self._later(RecordingFailed(recording=recording, reason="no-worker"))
            return
        memory = RecordingMemory(
            name=recording,
            worker=place,
            legs=legs,
            journal_key=journal_key,
            key_id=key_id,
            begin=begin,
            started_ns=monotonic_ns(),
        )
        try:
            worker.tell(memory.start_command(self._journals))
        except ControlError:
            self._later(RecordingFailed(recording=recording, reason="note-too-long"))
            return
        self._recordings[recording] = memory

    def grant_journal(self, recording: str) -> None:
        """The key envelope is durable: the journal may be created and written."""
        if (found := self._recordings.get(recording)) is not None:
            found.granted = True
            self._workers[found.worker].tell(control.Grant(recording=recording))

    def mark(self, recording: str, note: bytes) -> None:
        """Put a note (JSON of agent.model.recording.Note) into the journal."""
        found = self._recordings.get(recording)
        if found is not None and not found.ended:
            found.note(note, monotonic_ns())
            message = control.Mark(recording=recording, note=note)
            self._workers[found.worker].tell(message)

    def tap(self, recording: str, leg: str, *, on: bool) -> None:
        """Journal one leg of a recording, or stop doing so."""
        if (found := self._recordings.get(recording)) is not None:
            found.tap(leg, on=on)
            self._workers[found.worker].tell(
                control.Tap(recording=recording, leg=leg, on=on)
            )

    def stop_recording(self, recording: str, end: bytes) -> None:
        """Write the last note and close the journal; ends in RecordingClosed."""
        found = self._recordings.get(recording)
        if found is None or found.ended:
            return
        found.ended = True
        worker = self._workers[found.worker]
        if worker.up:
            worker.tell(control.StopRecording(recording=recording, end=end))
        else:
            self._give_up(found)

    def _give_up(self, recording: RecordingMemory) -> None:
        del self._recordings[recording.name]
        self._later(RecordingFailed(recording=recording.name, reason="worker-lost"))

    # -- what the workers say -------------------------------------------------

    def _on_report(self, report: control.Report) -> None:
        match report:
            case control.Welcome():
                return
            case PlayEnded():
                leg = self._legs.get(report.leg)
                if leg and leg.play and leg.play.token == report.token:
                    leg.play = None
            case LegClosed():
                leg = self._legs.get(report.leg)
                if leg is not None and leg.left:
                    leg.left.pop()
                    return
                if leg is not None:
                    self._forget(leg)
            case RecordingFailed() | RecordingClosed():
                self._recordings.pop(report.recording, None)
            case _:
                pass
        self._on_event(report)

    def _on_lost(self, index: int) -> None:
        self._lost_ns[index] = monotonic_ns()
        legs = [leg for leg in self._legs.values() if leg.worker == index]
        recordings = [r for r in self._recordings.values() if r.worker == index]
        self._on_event(
            WorkerLost(
                worker=index,
                legs=tuple(leg.name for leg in legs),
                recordings=tuple(recording.name for recording in recordings),
            )
        )
        for leg in self._legs.values():
            leg.left = [worker for worker in leg.left if worker != index]
        for recording in recordings:
            if recording.ended and recording.name in self._recordings:
                self._give_up(recording)
        for leg in legs:
            if leg.closing:
                self._break_off_play(leg)
                self._later(LegClosed(leg=leg.name, stats=LegStats()))
                self._forget(leg)

    def _on_ready(self, index: int) -> None:
        worker = self._workers[index]
        for sound, fd in self._sounds.values():
            worker.tell(sound, (fd,))
        legs = [leg for leg in self._legs.values() if leg.worker == index]
        spent = [leg.name for leg in legs if leg.spend_key()]
        for addressed in leg_commands(legs):
            worker.tell(*addressed)
        for recording in list(self._recordings.values()):
            if recording.worker == index:
                for addressed in recording.commands(
                    self._journals, self._lost_ns[index], monotonic_ns()
                ):
                    worker.tell(*addressed)
        self._turn.set()
        self._turn = asyncio.Event()
        self._on_event(WorkerReady(worker=index))
        for leg in spent:
            self._on_event(KeysSpent(leg=leg))

    def _on_given_up(self, index: int) -> None:
        for recording in list(self._recordings.values()):
            if recording.worker == index:
                self._give_up(recording)
        for leg in self._legs.values():
            if leg.worker == index:
                self._break_off_play(leg)

    def _later(self, event: MediaEvent) -> None:
        asyncio.get_running_loop().call_soon(self._on_event, event)


def _unplayed(play: control.Play) -> PlayEnded:
    return PlayEnded(
        leg=play.leg,
        token=play.token,
        completed=False,
        frames=0,
        sent_ms=0,
        started_ns=0,
        ended_ns=0,
    )
