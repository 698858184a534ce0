"""The media workers, as call control sees them: legs, bridges, sounds, recordings.

All methods return at once (`async` ones: nearly); what comes of them is told by
events. The pool remembers what every worker was told, and keeps a duplicate of every
socket, so that a dead worker's successor goes on where it stopped.
"""

import asyncio
import os
import resource
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.common.clock import monotonic, monotonic_ns
from agent.common.files import make_private_directory
from agent.media import control
from agent.media.config import MediaConfig
from agent.media.crew import Crew, WorkerPlace
from agent.media.errors import MediaError
from agent.media.events import (
    KeysSpent,
    MediaEvent,
)
from agent.media.figures import Figures
from agent.media.legs import Legs, unplayed
from agent.media.life import SIGN_SECONDS
from agent.media.memory import LegMemory, leg_commands
from agent.media.orphans import retire_orphans
from agent.media.playable import pack
from agent.media.ports import PortPool
from agent.media.reception import canonical_host
from agent.media.recordings import Recordings
from agent.media.resuming import Resuming
from agent.media.sound import Sound
from agent.media.state import MediaState
from agent.media.worker_news import WorkerNews
from agent.model.media import Address, Latch, NegotiatedAudio
from agent.model.recording import MAX_LEGS, SegmentMark


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """Figures of the pool as it is now."""

    workers_up: int
    workers_lost: int
    "Since the start."
    spares_up: int
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
        workers_apart: bool = False,
    ) -> None:
        """`workers_apart`: a service manager starts and ends the workers, not we."""
        self._apart = workers_apart
        self._config = config
        self._directory = runtime_directory
        self._on_event = on_event
        self.figures = Figures(monotonic_ns())
        "Of the legs' packets."
        self._news = WorkerNews(on_event, self.figures, held=workers_apart)
        self._crew = Crew(
            config,
            runtime_directory,
            apart=workers_apart,
            on_report=self._news.told,
            on_lost=self._news.lost,
            on_ready=self._news.ready,
            on_given_up=self._news.given_up,
        )
        first, last = config.ports
        ports = PortPool(first, last, drain=config.drain)
        self._legs = Legs(self._crew, ports, self._later)
        self._recordings = Recordings(self._crew, journal_directory, self._later)
        self._news.connect(self._crew, self._legs, self._recordings)
        self._tokens = 0
        "Of playouts, given out so far."
        self.orphans_retired = 0
        "Workers of a dead main process, which have closed their journals."

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
        if not self._apart:
            self.orphans_retired = await retire_orphans(self._directory)
        try:
            await self._crew.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every journal and leg, end the workers, give the ports back."""
        await self._crew.stop()
        self._legs.close()
        self._recordings.clear()

    async def watch(self) -> None:
        """See to it, for ever, that a worker that is hung is replaced."""
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            self._crew.look()

    @property
    def workers_up(self) -> int:
        """Workers that take legs."""
        return self._crew.workers_up

    @property
    def workers(self) -> tuple[WorkerPlace, ...]:
        """Every place for a worker that takes legs, by its number."""
        return self._crew.workers

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that are up."""
        return self._crew.pids

    @property
    def stats(self) -> PoolStats:
        """Figures for metrics."""
        return PoolStats(
            workers_up=self.workers_up,
            workers_lost=self._crew.workers_lost,
            spares_up=self._crew.spares_up,
            legs=len(self._legs),
            recordings=len(self._recordings),
            ports_free=self._legs.ports.free,
            ports_draining=self._legs.ports.draining,
        )

    def flush(self) -> None:
        """Let the workers know now, and not when the loop turns next.

        To be called before a peer is told something that has it send media.
        """
        self._crew.flush()

    # -- another main process -------------------------------------------------

    def state_of(self, call: str) -> MediaState:
        """What `resume` of another main process needs of a call, but for its keys."""
        return MediaState(
            call=call,
            legs=tuple(leg.state for leg in self._legs.of_call(call)),
            recordings=self._recordings.states_of(call),
            tokens=self._tokens,
        )

    async def resume(
        self, states: Sequence[MediaState], keys: Mapping[str, bytes]
    ) -> None:
        """Take calls up where an earlier main process left them.

        `keys` are journal keys by recording; a recording without one ends, as does all
        that workers have and no state names: before this returns. To be called once,
        after `start`, where workers are apart in any case. What came of anything
        meanwhile is told by events.
        """
        self._tokens = max([self._tokens, *(state.tokens for state in states)])
        resuming = Resuming(self._crew, self._legs, self._recordings, self._later)
        early = self._news.release()
        await resuming.resume(states, keys, early)
        for report in early:
            self._news.told(report)
        await resuming.finish()
        self._news.anything_over()

    # -- sounds ---------------------------------------------------------------

    def add_sound(self, sound: Sound) -> None:
        """Give a sound to every worker, present and future, under its name.

        Raises OSError if there is no memory for it.
        """
        fd = os.memfd_create("sound", os.MFD_CLOEXEC)
        with open(fd, "wb", closefd=False) as file:
            memory, parts = pack(sound)
            file.write(memory)
        self._crew.add_sound(control.AddSound(name=sound.name, parts=parts), fd)

    def prove_ports(self, addresses: Iterable[str]) -> None:
        """See that calls will find RTP ports on each of these addresses of ours.

        Raises NoPortsError: none is free, or the address is not of this host.
        """
        for address in addresses:
            ports = self._legs.ports.allocate(address)
            self._legs.ports.release(ports, monotonic())

    # -- legs -----------------------------------------------------------------

    async def open_leg(
        self,
        call: str,
        leg: str,
        *,
        address: str | None = None,
        deaf: bool = False,
        mute: bool = False,
    ) -> Address:
        """Bind a port pair for a new leg; all legs of one call share a worker.

        What comes to a `deaf` one waits in its socket until it is recorded, or told to
        `listen`; of a `mute` one nothing is ever sent but RTCP. Returns the address for
        SDP; RTCP is the port above. Raises NoPortsError, NoWorkerError, or MediaError
        if the leg's name is taken.
        """
        worker = await self._crew.for_call(call)
        if self._legs.get(leg) is not None:
            raise MediaError("There is a leg of this name already.")
        local = address or self._config.address
        ports = self._legs.ports.allocate(local)
        memory = LegMemory(leg, call, worker, ports, deaf=deaf, mute=mute)
        self._legs.add(memory)
        self._crew.tell(worker, *memory.open_command(resumed=False))
        told = local if address else self._config.advertised or local
        return Address(told, ports.port)

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
        if (found := self._legs.open(leg)) is not None:
            found.configured = control.Configure(leg=leg, audio=audio, latch=latch)
            self._tell(found, found.configured)

    def listen(self, leg: str) -> None:
        """Let a deaf leg take what waits for it, and what comes."""
        found = self._legs.open(leg)
        if found is not None and found.deaf:
            found.deaf = False
            self._tell(found, control.Listen(legs=(leg,)))

    def close_leg(self, leg: str) -> None:
        """Say RTCP BYE and drain the ports; ends in LegClosed."""
        found = self._legs.open(leg)
        if found is None:
            return
        found.part()
        found.closing = True
        if self._crew.up(found.worker):
            self._tell(found, control.CloseLeg(leg=leg))
        else:
            self._legs.lose(found)

    def move_leg(self, leg: str, call: str) -> None:
        """Let a leg go on in another call, and in that call's worker.

        It is parted from its partner, and what plays to it is broken off. In another
        worker it is a new RTP source, as after the death of one; its ports stay.
        """
        found = self._legs.open(leg)
        if found is None:
            return
        found.part()
        self._silence(found)
        placement = self._crew.placement
        old, placed = found.worker, placement.worker_of(call)
        new = old if placed is None else placed
        placement.remove(found.call, leg)
        placement.add(call, leg, new)
        found.call, found.worker = call, new
        if new == old:
            self._tell(found, control.Unbridge(leg=leg))
            return
        if found.spend_key():
            self._later(KeysSpent(leg=leg))
        if self._crew.up(old):
            found.left.append(old)
            self._crew.tell(old, control.CloseLeg(leg=leg))
        # To a worker that is not up nothing is told now, but everything when it is.
        for addressed in leg_commands([found]):
            self._crew.tell(new, *addressed)
        self._crew.tell(new, control.Listen(legs=(leg,)))

    def _tell(self, leg: LegMemory, message: control.Command) -> None:
        self._crew.tell(leg.worker, message)

    # -- what a leg hears -----------------------------------------------------

    def play(self, leg: str, sounds: Sequence[str], *, loop: bool = False) -> int:
        """Play sounds one after the other, in place of what plays.

        Returns a token for PlayEnded, which comes in any case; at once, and not
        completed, if the leg or a sound is not there.
        """
        token = self._tokens = self._tokens + 1
        message = control.Play(leg=leg, token=token, sounds=tuple(sounds), loop=loop)
        found = self._legs.open(leg)
        if found is None or self._crew.given_up(found.worker):
            self._later(unplayed(message))
            return token
        if not self._crew.up(found.worker):
            self._legs.break_off_play(found)
        found.play = message
        self._tell(found, message)
        return token

    def stop_playing(self, leg: str) -> None:
        """Break off what plays."""
        if (found := self._legs.open(leg)) is not None:
            self._silence(found)

    def _silence(self, leg: LegMemory) -> None:
        if self._crew.up(leg.worker):
            self._tell(leg, control.StopPlaying(leg=leg.name))
        else:
            self._legs.break_off_play(leg)

    def bridge(self, a: str, b: str) -> None:
        """Relay both ways, in place of what plays to either.

        What is played later to a bridged leg suspends the relay towards it.
        """
        first, second = self._legs.open(a), self._legs.open(b)
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
        if (found := self._legs.open(a)) is not None:
            found.part()
            self._tell(found, control.Unbridge(leg=a))

    # -- recordings -----------------------------------------------------------

    def start_recording(
        self,
        recording: str,
        *,
        legs: tuple[str, ...],
        journal_key: bytes,
        key_id: bytes,
        begin: bytes,
        tapped: tuple[bool, ...],
        since_ns: int = 0,
    ) -> None:
        """Tap the legs of one call at once, save those not `tapped` yet.

        Where another recording of them has ended at `since_ns`, from then on: both
        are to be told before the loop turns, and nothing falls between them.

        Blocks stay in the worker's memory, for 30 s at most, until `grant_journal`.
        What goes wrong is told by RecordingFailed. Legs that are deaf listen.
        """
        found = [self._legs.open(leg) for leg in legs]
        first = found[0] if found else None
        if (
            first is None
            or len(found) > MAX_LEGS
            or any(leg is None or leg.worker != first.worker for leg in found)
        ):
            self._recordings.refuse(recording, "no-leg")
            return
        self._recordings.start(
            recording,
            first.worker,
            call=first.call,
            legs=legs,
            journal_key=journal_key,
            key_id=key_id,
            begin=begin,
            tapped=tapped,
            since_ns=since_ns,
        )
        for leg in legs:
            self.listen(leg)

    def add_leg(self, recording: str, leg: str, mark: SegmentMark) -> int | None:
        """Tap one more leg of the call from now on; the mark tells its journal so.

        Returns the leg's index, which goes into the mark; None if the recording is
        over, has MAX_LEGS, or there is no such leg beside its others.
        """
        found = self._legs.open(leg)
        if found is None:
            return None
        index = self._recordings.add_leg(recording, leg, found.worker, mark)
        self.listen(leg)
        return index

    def grant_journal(self, recording: str) -> None:
        """The key envelope is durable: the journal may be created and written."""
        self._recordings.grant(recording)

    def mark(self, recording: str, note: bytes) -> None:
        """Put a note (JSON of agent.model.recording.Note) into the journal."""
        self._recordings.mark(recording, note)

    def tap(self, recording: str, leg: str, *, on: bool, at_ns: int) -> None:
        """Journal what one leg hears from `at_ns` on, or nothing of it any more.

        `at_ns` is CLOCK_MONOTONIC; the moment a packet arrived decides.
        """
        self._recordings.tap(recording, leg, on=on, at_ns=at_ns)

    def stop_recording(self, recording: str, end: bytes) -> None:
        """Write the last note and close the journal; ends in RecordingClosed."""
        self._recordings.stop(recording, end)

    def _later(self, event: MediaEvent) -> None:
        asyncio.get_running_loop().call_soon(self._on_event, event)
