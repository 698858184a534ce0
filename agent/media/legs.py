"""The legs of a pool: who is where, and what becomes of their ports."""

import asyncio
from collections.abc import Callable, Container, Iterator

from agent.common.clock import monotonic
from agent.media import control
from agent.media.crew import Crew
from agent.media.events import (
    KeysSpent,
    LegClosed,
    LegStats,
    MediaEvent,
    PlayEnded,
)
from agent.media.memory import (
    LegMemory,
    bridge_commands,
    leg_commands,
    play_commands,
)
from agent.media.ports import PortPool


class Legs:
    """Legs by name, and the ports of those that are gone, until these are silent.

    What comes of them is told to `later`, which must not call back at once.
    """

    def __init__(
        self, crew: Crew, ports: PortPool, later: Callable[[MediaEvent], None]
    ) -> None:
        self._crew = crew
        self._later = later
        self._legs: dict[str, LegMemory] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.ports = ports

    def __len__(self) -> int:
        return len(self._legs)

    def __iter__(self) -> Iterator[LegMemory]:
        return iter(self._legs.values())

    def get(self, leg: str) -> LegMemory | None:
        """A leg, closing or not."""
        return self._legs.get(leg)

    def open(self, leg: str) -> LegMemory | None:
        """A leg that was not told to close."""
        found = self._legs.get(leg)
        return None if found is None or found.closing else found

    def in_worker(self, worker: int) -> list[LegMemory]:
        """The legs that a worker has."""
        return [leg for leg in self if leg.worker == worker]

    def bind(self, worker: int) -> bool:
        """Whether a worker has legs, or has not yet said that one has left it."""
        return any(worker in {leg.worker, *leg.left} for leg in self)

    def of_call(self, call: str) -> list[LegMemory]:
        """The legs of a call."""
        names = self._crew.placement.legs_of(call)
        return [self._legs[name] for name in names]

    def add(self, leg: LegMemory) -> None:
        """A leg of a new name, with its ports."""
        self._legs[leg.name] = leg
        self._crew.placement.add(leg.call, leg.name, leg.worker)

    def tell_anew(self, call: str, fresh: Container[str] | None = None) -> None:
        """Tell a worker all that one before it knew of the legs of a call.

        `fresh` are those it does not have itself; None: all of them.
        """
        legs = self.of_call(call)
        new = [leg for leg in legs if fresh is None or leg.name in fresh]
        spent = [leg.name for leg in new if leg.spend_key()]
        for message, fds in leg_commands(new):
            self._crew.tell(legs[0].worker, message, fds)
        for message in bridge_commands(legs):
            self._crew.tell(legs[0].worker, message)
        for message in play_commands(new):
            self._crew.tell(legs[0].worker, message)
        for name in spent:
            self._later(KeysSpent(leg=name))

    def listen(self, call: str) -> None:
        """Have a worker hear legs that it was told of anew, and all that goes on.

        Those that are deaf are told to listen by themselves.
        """
        legs = [leg for leg in self.of_call(call) if not leg.deaf]
        if legs:
            names = tuple(leg.name for leg in legs)
            self._crew.tell(legs[0].worker, control.Listen(legs=names))

    def lose(self, leg: LegMemory) -> None:
        """There is no worker that could tell of its end."""
        self.break_off_play(leg)
        self._later(LegClosed(leg=leg.name, stats=LegStats()))
        self.forget(leg)

    def forget(self, leg: LegMemory) -> None:
        """The worker has let go of the sockets: nobody reads them but we."""
        del self._legs[leg.name]
        self._crew.placement.remove(leg.call, leg.name)
        self.ports.release(leg.ports, monotonic())
        self._schedule_sweep()

    def break_off_play(self, leg: LegMemory) -> None:
        """There is no worker that could tell PlayEnded."""
        if leg.play is not None:
            self._later(unplayed(leg.play))
            leg.play = None

    def close(self) -> None:
        """Forget all of them, and give every port back."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for leg in self:
            leg.ports.close()
        self._legs.clear()
        self.ports.close()

    def _schedule_sweep(self) -> None:
        due = self.ports.get_timer()
        if self._sweep is None and due is not None:
            self._sweep = asyncio.get_running_loop().call_later(
                max(0.0, due - monotonic()), self._fire_sweep, due
            )

    def _fire_sweep(self, due: float) -> None:
        self._sweep = None
        # The loop may wake a clock tick early, and would again and again until then.
        self.ports.sweep(max(due, monotonic()))
        self._schedule_sweep()


def unplayed(play: control.Play) -> PlayEnded:
    """What is told of a playout of which nothing was sent."""
    return PlayEnded(
        leg=play.leg,
        token=play.token,
        completed=False,
        frames=0,
        sent_ms=0,
        started_ns=0,
        ended_ns=0,
    )
