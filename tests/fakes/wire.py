"""A network between sans-IO cores: loses, delays, reorders, duplicates, repeatably.

    wire = Wire(fate=unreliable(seed=1, loss=0.3))
    wire.attach(ALICE, alice, receive=alice.receive)
    wire.attach(BOB, bob, receive=bob.receive, on_event=answer)
    alice.invite(...)
    wire.run(until=40.0)

Time is the wire's `clock`; it moves only in `run`, from one deadline or arrival to
the next. Whoever touches a core between runs need not flush: `run` begins with it.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from agent.model.media import Address
from agent.signalling.sip.flow import Flow

_MAX_STEPS_AT_ONCE: Final = 10_000
"More at one moment means two cores that answer each other for ever."


@dataclass(slots=True)
class ManualClock:
    """A clock that stands still until told."""

    now: float = 0.0

    def advance_to(self, at: float) -> None:
        if at < self.now:
            raise ValueError("Time does not run backwards.")
        self.now = at


class Core(Protocol):
    """What a core must have to be attached."""

    def get_timer(self) -> float | None: ...
    def handle_timer(self, now: float) -> None: ...
    def data_to_send(self) -> list[tuple[bytes, Flow]]: ...
    def next_event(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram as it was sent; `number` counts all of the wire's from 0."""

    number: int
    sent_at: float
    source: Address
    destination: Address
    data: bytes
    arrivals: tuple[float, ...] = ()
    "When its copies arrive; none: lost."

    @property
    def start_line(self) -> str:
        return self.data.split(b"\r\n", 1)[0].decode()

    @property
    def name(self) -> str:
        """`INVITE` of a request, `180` of a response."""
        words = self.start_line.split(" ")
        return words[1] if words[0].startswith("SIP/") else words[0]

    @property
    def lost(self) -> bool:
        return not self.arrivals


Fate = Callable[[Packet], Sequence[float]]
"Delays in seconds of the packet's copies: `()` loses it, two values double it."


def perfect(_packet: Packet) -> Sequence[float]:
    """Everything arrives at once, in order."""
    return (0.0,)


def delayed(seconds: float) -> Fate:
    """Everything arrives in order, that much later."""
    return lambda _packet: (seconds,)


def unreliable(
    *,
    seed: int,
    loss: float = 0.0,
    duplicate: float = 0.0,
    delay: float = 0.0,
    jitter: float = 0.0,
) -> Fate:
    """Chance, the same for the same seed; `jitter` seconds at most reorder."""
    rng = random.Random(seed)

    def fate(_packet: Packet) -> Sequence[float]:
        if rng.random() < loss:
            return ()
        copies = 2 if rng.random() < duplicate else 1
        return [delay + rng.random() * jitter for _ in range(copies)]

    return fate


def lose(
    which: str | Callable[[Packet], bool], times: int = 1, *, fate: Fate = perfect
) -> Fate:
    """Lose the first packets of that name, or for which it is true; then `fate`."""
    left = times

    def decide(packet: Packet) -> Sequence[float]:
        nonlocal left
        hit = packet.name == which if isinstance(which, str) else which(packet)
        if hit and left > 0:
            left -= 1
            return ()
        return fate(packet)

    return decide


def delay_first(which: str, seconds: float, *, fate: Fate = perfect) -> Fate:
    """Hold the first packet of that name back, so that others overtake it."""
    pending = True

    def decide(packet: Packet) -> Sequence[float]:
        nonlocal pending
        if pending and packet.name == which:
            pending = False
            return (seconds,)
        return fate(packet)

    return decide


@dataclass(slots=True)
class _Endpoint:
    core: Core
    receive: Callable[[bytes, Flow, float], None]
    on_event: Callable[[Any, float], None] | None


@dataclass(slots=True)
class Wire:
    """Carries datagrams between the cores attached to it."""

    fate: Fate = perfect
    "May be replaced at any time."
    transport: str = "udp"
    clock: ManualClock = field(default_factory=ManualClock)
    log: list[Packet] = field(default_factory=list)
    "All packets sent, also those to nobody."
    before_sending: Callable[[], None] | None = None
    "Called when all events are delivered, before what they caused is sent."
    _endpoints: dict[Address, _Endpoint] = field(default_factory=dict)
    _flying: list[tuple[float, int, Packet]] = field(default_factory=list)
    _arrivals: int = 0

    @property
    def now(self) -> float:
        return self.clock.now

    def attach(
        self,
        address: Address,
        core: Core,
        *,
        receive: Callable[[bytes, Flow, float], None],
        on_event: Callable[[Any, float], None] | None = None,
    ) -> None:
        """Put `core` at `address`.

        `on_event` gets each of its events with the time, and may touch the core;
        without it the events stay in the core.
        """
        self._endpoints[address] = _Endpoint(core, receive, on_event)

    def detach(self, address: Address) -> None:
        """Pull the plug: nothing arrives there, its timers no longer run."""
        del self._endpoints[address]

    def flow(self, local: Address, remote: Address) -> Flow:
        return Flow(self.transport, local, remote)

    def inject(self, data: bytes, source: Address, destination: Address) -> None:
        """Send a packet as `source`, who need not be attached."""
        packet = Packet(len(self.log), self.now, source, destination, data)
        delays = self.fate(packet)
        arrivals = tuple(self.now + delay for delay in delays)
        packet = Packet(packet.number, self.now, source, destination, data, arrivals)
        self.log.append(packet)
        for at in arrivals:
            self._arrivals += 1
            heapq.heappush(self._flying, (at, self._arrivals, packet))

    def run(self, until: float) -> None:
        """Let everything happen that happens up to and including `until`."""
        self._flush()
        steps = 0
        while (at := self._next()) is not None and at <= until:
            steps = steps + 1 if at <= self.now else 0
            if steps > _MAX_STEPS_AT_ONCE:
                raise AssertionError(f"Time stands still at {self.now}.")
            self.clock.advance_to(max(at, self.now))
            self._step()
        self.clock.advance_to(max(until, self.now))

    def run_until_idle(self, limit: float = 3600.0) -> None:
        """Run until nothing flies and no timer is set; fails after `limit` s."""
        self._flush()
        end = self.now + limit
        while (at := self._next()) is not None:
            if at > end:
                raise AssertionError(f"Still a timer after {limit} s.")
            self.run(until=max(at, self.now))

    def names(self, *, source: Address | None = None) -> list[str]:
        """`INVITE`, `100`, … of all packets sent, or of those from `source`."""
        return [
            packet.name
            for packet in self.log
            if source is None or packet.source == source
        ]

    def sent_at(self, name: str) -> list[float]:
        """When the packets of that name were sent."""
        return [packet.sent_at for packet in self.log if packet.name == name]

    def _next(self) -> float | None:
        times = [
            timer
            for endpoint in self._endpoints.values()
            if (timer := endpoint.core.get_timer()) is not None
        ]
        if self._flying:
            times.append(self._flying[0][0])
        return min(times, default=None)

    def _step(self) -> None:
        """One arrival, or else the timers of one core."""
        if self._flying and self._flying[0][0] <= self.now:
            _, _, packet = heapq.heappop(self._flying)
            endpoint = self._endpoints.get(packet.destination)
            if endpoint is not None:
                flow = self.flow(packet.destination, packet.source)
                endpoint.receive(packet.data, flow, self.now)
        else:
            for endpoint in self._endpoints.values():
                timer = endpoint.core.get_timer()
                if timer is not None and timer <= self.now:
                    endpoint.core.handle_timer(self.now)
                    break
        self._flush()

    def _flush(self) -> None:
        while self._deliver_events():
            pass
        if self.before_sending is not None:
            self.before_sending()
        for endpoint in list(self._endpoints.values()):
            for data, flow in endpoint.core.data_to_send():
                self.inject(data, flow.local, flow.remote)

    def _deliver_events(self) -> bool:
        """Whether there were any, for the next to be caused by one of them."""
        any_event = False
        for endpoint in list(self._endpoints.values()):
            if endpoint.on_event is None:
                continue
            while (event := endpoint.core.next_event()) is not None:
                any_event = True
                endpoint.on_event(event, self.now)
        return any_event
