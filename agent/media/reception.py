"""Which RTP of one leg is believed: source validation and the latch.

RFC 3550 appendix A.1, with two differences. The first packet of a source is held
and released with the second, so that validation costs no audio. And a source is
not displaced by another while it speaks: a stranger who guesses the address of the
peer can add nothing to a conversation that is going on.
"""

from dataclasses import dataclass, field
from typing import Final

from agent.formats.rtp.packet import MAX_DROPOUT, MAX_MISORDER
from agent.model.media import Address, Latch, ip_of

MAX_CANDIDATES: Final = 4
"Sources that may be under validation at once; more than any honest peer starts."
MAX_HELD: Final = 8
"Packets kept of one such source: what arrives while TAKEOVER_NS pass."
TAKEOVER_NS: Final = 60_000_000
"Silence after which another source may take over: three lost packets in a row."
LEAVING_NS: Final = 2_000_000_000
"After a move, how long the old place is not believed: it may still be sending."
COMMON_RATE: Final = 8000
"Every clock rate here is a multiple of it."
NS_PER_TICK: Final = 125_000
"Of that rate."
_NEVER: Final = -(1 << 62)
_JITTER_LIMIT: Final = 80_000
"Ten seconds, or two of Opus: more is a timestamp that was set anew, not jitter."

Source = tuple[str, int]
"Host, in the kernel's spelling, and port."
Arrival = tuple[int, bytes]
"Monotonic nanoseconds, and the packet."


def canonical_host(host: str) -> str:
    """An IP address as the kernel spells it. Raises ValueError if it is none."""
    return ip_of(host).compressed


def place_of(address: Address) -> Source | None:
    """Where to send; None for 0.0.0.0 or port 0: hold. Raises ValueError."""
    host = canonical_host(address.host)
    # RFC 3264 section 8.4, and its predecessor.
    held = host in {"0.0.0.0", "::"} or not address.port  # noqa: S104
    return None if held else (host, address.port)


@dataclass(slots=True)
class Stream:
    """One validated run of packets; another source or another clock begins another."""

    ssrc: int
    clock_rate: int


@dataclass(slots=True)
class _Candidate:
    sequence: int
    held: list[Arrival] = field(default_factory=list)
    rival: bool = False


class Reception:
    """The receiving half of one leg.

    `advance` is the fast path for the packet everyone expects; what it refuses goes
    to `examine`.
    """

    def __init__(self) -> None:
        self.stream: Stream | None = None
        "The source believed, if any."
        self.latched: Source | None = None
        self.received = 0
        self.late = 0
        self.unheard = 0
        self.changes = 0
        self.rivals = 0
        self.jitter = 0.0
        "In ticks of the clock rate."
        self.clock_rate = COMMON_RATE
        self._scale = 1
        self.heard_ns = _NEVER
        self._ssrc = -1
        self._highest = 0
        self._base = 0
        self._in_stream = 0
        self._lost_before = 0
        self._transit = 0
        self._candidates: dict[tuple[Source | None, int], _Candidate] = {}
        self._expected: Source | None = None
        self._latch = Latch.ADDRESS
        self._left: Source | None = None
        self._left_until = 0

    # -- the latch ------------------------------------------------------------

    def expect(self, remote: Address, latch: Latch, now_ns: int) -> bool:
        """Set whence RTP may come; True if that is new and the latch is open again.

        Raises ValueError if the host is no IP address.
        """
        expected = (canonical_host(remote.host), remote.port)
        if expected == self._expected and latch is self._latch:
            return False
        if self._expected is not None:
            self._left = self.latched or self._expected
            self._left_until = now_ns + LEAVING_NS
        self._expected, self._latch = expected, latch
        self.latched = None
        self._forget()
        return True

    def resume(self, source: Source) -> None:
        """Take over a latch that an earlier process had found."""
        self.latched = source

    def may_come_from(self, source: Source, now_ns: int) -> bool:
        """Whether a datagram from `source` may be looked at at all."""
        if self._expected is None:
            return False
        if self.latched is not None:
            return source == self.latched
        if (
            source == self._left
            and source != self._expected
            and now_ns < self._left_until
        ):
            return False
        if self._latch is Latch.OFF:
            return source == self._expected
        return self._latch is Latch.ANY or source[0] == self._expected[0]

    def _forget(self) -> None:
        self._ssrc = -1
        self.heard_ns = _NEVER
        self._candidates.clear()

    # -- packets --------------------------------------------------------------

    def advance(self, ssrc: int, sequence: int, timestamp: int, now_ns: int) -> bool:
        """Take the next packet of the believed source; False if it is not that."""
        if ssrc != self._ssrc:
            return False
        step = (sequence - self._highest) & 0xFFFF
        if not 0 < step < MAX_DROPOUT:
            return False
        self._highest += step
        self._in_stream += 1
        self.received += 1
        self.heard_ns = now_ns
        transit = now_ns // NS_PER_TICK * self._scale - timestamp
        change = transit - self._transit
        self._transit = transit
        if change < 0:
            change = -change
        if change < _JITTER_LIMIT:
            self.jitter += (change - self.jitter) / 16
        return True

    def change_clock(self, clock_rate: int) -> None:
        """Packets of the believed source count by another rate from now on."""
        self.jitter *= clock_rate / self.clock_rate
        self.clock_rate = clock_rate
        self._scale = clock_rate // COMMON_RATE
        if self.stream is not None:
            self.stream = Stream(self.stream.ssrc, clock_rate)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter of the present source."""
        return self.jitter * 1000 / self.clock_rate

    def examine(
        self,
        packet: bytes,
        ssrc: int,
        sequence: int,
        now_ns: int,
        source: Source | None = None,
    ) -> list[Arrival]:
        """Judge any other packet; returns what is now believed, in order.

        `source` is given until the socket is connected; once packets are returned,
        `latched` says where to connect it. After a change `stream` is a new object.
        """
        if ssrc == self._ssrc:
            behind = (self._highest - sequence) & 0xFFFF
            if behind <= MAX_MISORDER:
                self.late += 1
                if behind:
                    self.received += 1
                    self._in_stream += 1
                self.heard_ns = now_ns
                return [(now_ns, packet)]
        key = (source, ssrc)
        candidate = self._candidates.get(key)
        if candidate is None or (sequence - candidate.sequence) & 0xFFFF != 1:
            self._begin_probation(key, sequence, (now_ns, packet))
            return []
        candidate.sequence = sequence
        candidate.held.append((now_ns, packet))
        if now_ns - self.heard_ns < TAKEOVER_NS:
            if len(candidate.held) > MAX_HELD:
                del candidate.held[0]
                self.unheard += 1
            if not candidate.rival:
                candidate.rival = True
                self.rivals += 1
            return []
        self._believe(source, ssrc, candidate, now_ns)
        return candidate.held

    def _begin_probation(
        self, key: tuple[Source | None, int], sequence: int, arrival: Arrival
    ) -> None:
        dropped = self._candidates.pop(key, None)
        if dropped is None and len(self._candidates) >= MAX_CANDIDATES:
            dropped = self._candidates.pop(next(iter(self._candidates)))
        if dropped is not None:
            self.unheard += len(dropped.held)
        self._candidates[key] = _Candidate(sequence, [arrival])

    def _believe(
        self, source: Source | None, ssrc: int, candidate: _Candidate, now_ns: int
    ) -> None:
        if self.stream is not None:
            self.changes += 1
            self._lost_before += self._lost_in_stream()
        if source is not None:
            self.latched = source
        self.stream = Stream(ssrc, self.clock_rate)
        self._ssrc = ssrc
        self._highest = candidate.sequence
        self._in_stream = len(candidate.held)
        self._base = candidate.sequence - self._in_stream + 1
        self.received += self._in_stream
        self.heard_ns = now_ns
        self._candidates.clear()

    # -- figures --------------------------------------------------------------

    @property
    def highest_sequence(self) -> int:
        """Extended highest sequence number received (RFC 3550 section 6.4.1)."""
        return self._highest & 0xFFFFFFFF

    @property
    def lost(self) -> int:
        """Packets expected and not received, over all sources; not below 0."""
        return self._lost_before + self._lost_in_stream()

    @property
    def lost_of_source(self) -> int:
        """The same for the present source; negative if duplicates prevail."""
        return self._highest - self._base + 1 - self._in_stream

    @property
    def expected_of_source(self) -> int:
        """Packets expected from the present source."""
        return self._highest - self._base + 1

    def _lost_in_stream(self) -> int:
        if self.stream is None:
            return 0
        return max(self.lost_of_source, 0)
