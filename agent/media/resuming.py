"""The calls of an earlier main process, taken up where it left them."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from agent.common.clock import monotonic_ns, utc_ns
from agent.media import control
from agent.media.crew import Crew
from agent.media.errors import NoPortsError
from agent.media.events import (
    LegClosed,
    LegStats,
    MediaEvent,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    WorkerEvent,
    WorkerLost,
)
from agent.media.legs import Legs
from agent.media.link import RETIRE_SECONDS
from agent.media.memory import LegMemory, RecordingMemory
from agent.media.ports import PortPair, adopted, bound
from agent.media.recordings import Recordings
from agent.media.state import LegState, MediaState
from agent.model.call import EndCause, Outcome
from agent.model.recording import SegmentEnd


class Resuming:
    """Joins what the states name to what the workers have.

    What a worker has goes on untouched: its main process has changed, that is all. It
    is told again what may have been on its way when that one died. What no worker has
    is told to one anew, as after the death of a worker: the ports are the same, and
    the gap is stated.
    """

    def __init__(
        self,
        crew: Crew,
        legs: Legs,
        recordings: Recordings,
        later: Callable[[MediaEvent], None],
    ) -> None:
        self._crew = crew
        self._legs = legs
        self._recordings = recordings
        self._later = later
        self._over: set[str] = set()
        "Recordings whose end was told already."
        self._played: list[tuple[LegMemory, int]] = []
        "Legs that were being played to, and the token of what is played to them now."

    async def resume(
        self,
        states: Sequence[MediaState],
        keys: Mapping[str, bytes],
        early: Sequence[WorkerEvent],
    ) -> None:
        """Put everything in its place; `early` is what workers have told already."""
        self._over = {
            event.recording
            for event in early
            if isinstance(event, RecordingClosed | RecordingFailed)
        }
        for state in states:
            found = self._worker_of(state)
            worker = await self._crew.for_call(state.call) if found is None else found
            self._resume_legs(state, worker)
            lost: list[str] = []
            for recording in state.recordings:
                if (key := keys.get(recording.recording)) is None:
                    continue
                memory = RecordingMemory.of(recording, state.call, worker, key)
                there = self._take_recording(memory) or memory.name in self._over
                if not there and found is not None and memory.end is not None:
                    self._later(_closed(memory.name))
                    continue
                self._recordings.resume(memory, lost=not there)
                if not there:
                    lost.append(memory.name)
            self._legs.listen(state.call)
            if lost:
                self._later(WorkerLost(worker=worker, legs=(), recordings=tuple(lost)))

    async def finish(self) -> None:
        """End what nobody asked for; wait, for a while, until its journals are closed.

        Tells of playouts whose end was told to nobody.
        """
        for leg, playing in self._played:
            if leg.play is not None and leg.play.token != playing:
                self._legs.break_off_play(leg)
        strays: list[str] = []
        end = SegmentEnd(
            ended_at=utc_ns(),
            ended_monotonic_ns=monotonic_ns(),
            cause=EndCause.AGENT_DIED,
            outcome=Outcome.PARTIAL,
        )
        for worker in self._crew.places:
            holdings = self._crew.holdings(worker)
            for recording, (held, _) in holdings.recordings.items():
                if held.opened and recording not in self._over:
                    strays.append(recording)
                self._crew.tell(
                    worker,
                    control.StopRecording(
                        recording=recording, end=msgspec.json.encode(end)
                    ),
                )
            for name in holdings.legs:
                self._crew.tell(worker, control.CloseLeg(leg=name))
            holdings.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._recordings.gone(strays)

    def _worker_of(self, state: MediaState) -> int | None:
        """Who has the legs of a call; of several, whoever has most."""
        names = {leg.leg for leg in state.legs}
        names |= {recording.recording for recording in state.recordings}
        shares = {
            worker: len(names.intersection((*held.legs, *held.recordings)))
            for worker in self._crew.places
            if (held := self._crew.holdings(worker))
        }
        best = max(shares, key=shares.__getitem__, default=None)
        return best if best is not None and shares[best] else None

    # -- legs -----------------------------------------------------------------

    def _resume_legs(self, state: MediaState, worker: int) -> None:
        fresh = [leg.leg for leg in state.legs if not self._hold(leg, state, worker)]
        for leg in state.legs:
            one, other = self._legs.get(leg.leg), self._legs.get(leg.partner)
            if one is not None and other is not None:
                one.join(other)
        self._legs.tell_anew(state.call, fresh)

    def _hold(self, leg: LegState, state: MediaState, worker: int) -> bool:
        """Put a leg in its place; tells whether its worker has it already."""
        held, ports = self._find(leg, worker)
        if ports is not None and held is None and leg.closing:
            ports.close()
            ports = None
        if ports is None:
            self._later(LegClosed(leg=leg.leg, stats=LegStats()))
            return False
        self._legs.ports.adopt(ports)
        memory = LegMemory.of(leg, state.call, worker, ports)
        self._legs.add(memory)
        if held is None:
            return False
        self._played.append((memory, held.playing))
        for message in memory.repeated(held.playing, partner=leg.partner):
            self._crew.tell(worker, message)
        return True

    def _find(
        self, leg: LegState, worker: int
    ) -> tuple[control.HeldLeg | None, PortPair | None]:
        """What its worker has of a leg; and its sockets, from whoever has them."""
        others = (place for place in self._crew.places if place != worker)
        for place in (worker, *others):
            found = self._crew.holdings(place).legs.pop(leg.leg, None)
            if found is None:
                continue
            held, rtp, rtcp = found
            if place != worker:
                self._crew.tell(place, control.CloseLeg(leg=leg.leg))
            return held if place == worker else None, adopted(rtp, rtcp)
        try:
            return None, bound(leg.host, leg.port)
        except NoPortsError:
            return None, None

    # -- recordings -----------------------------------------------------------

    def _take_recording(self, memory: RecordingMemory) -> bool:
        """Whether its worker has it."""
        holdings = self._crew.holdings(memory.worker)
        found = holdings.recordings.pop(memory.name, None)
        if found is None:
            return False
        held, memory.open_block = found
        memory.epoch = held.epoch
        if held.opened:
            self._later(RecordingOpened(recording=memory.name, path=held.opened))
        return True


def _closed(recording: str) -> RecordingClosed:
    """What a worker has told a main process that did not live to hear it."""
    return RecordingClosed(recording=recording, path="", packets=0, blocks=0, bytes=0)
