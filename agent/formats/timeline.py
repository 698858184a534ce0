"""One leg of a segment: its RTP packets placed on the agent's monotonic clock.

Position 0 is the segment's start; positions and lengths are in ticks of the leg's
RTP clock, the fastest of its codecs'. Packets are only stored while they come; all
the work is in `finish`, on arrays, because an hour is 180,000 packets a leg.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agent.formats.durations import clock_rate_of, durations
from agent.formats.placement import Placement, place
from agent.formats.rtp.headers import RtpHeaders, parse_headers
from agent.formats.rtp.packet import HEADER_LENGTH, MAX_PACKET
from agent.formats.senders import senders
from agent.formats.sequences import is_valid
from agent.formats.track import Gap, GapReason, Span, Track

__all__ = ["Frame", "Gap", "GapReason", "LegFigures", "LegResult", "LegTimeline"]

Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int16]
Flags = npt.NDArray[np.bool_]

MAX_OCTETS: Final = 256 << 20
"Two hours of 10 ms packets take a quarter of this; more is a flood, dropped."

MAX_SOURCES: Final = 32
"A leg changes its source at a transfer; of more, those with most packets are kept."

_NANOSECONDS: Final = 1_000_000_000
_FRAMES: Final = 4096
"Frames looked up at a time: of an hour, all at once would fill memory with numbers."
_SPANS: Final = {
    "hold": (GapReason.HOLD, True),
    "resume": (GapReason.HOLD, False),
    "pause-begin": (GapReason.PAUSE, True),
    "pause-end": (GapReason.PAUSE, False),
    "gap-begin": (GapReason.GAP, True),
    "gap-end": (GapReason.GAP, False),
}
SPAN_MARKS: Final = frozenset(_SPANS)
"Kinds of marks that say from when to when a leg's silence has a known reason."
_ABSENT: Final = (GapReason.ABSENT, True)
_JOINED: Final = (GapReason.ABSENT, False)
# In a gap of its own the agent does not know what was held; and of a held party
# whose recording is paused, the pause is what somebody must answer for.
_PRECEDENCE: Final = (
    GapReason.ABSENT,
    GapReason.GAP,
    GapReason.PAUSE,
    GapReason.HOLD,
)


class Frame(NamedTuple):
    """One packet's audio in its place; what overlaps is left out.

    Its payload is first stretched, then `skip` of it passed over, then `length` heard.
    """

    position: int
    length: int
    codec: str
    payload: memoryview
    "All of it."
    skip: int
    "Ticks that come before `position`."
    source: int
    "Which of the leg's streams it is from: each has a coder of its own."
    stretch: int = 0
    "Ticks put into the payload's audio, or, negative, taken out, to make up for drift."


@dataclass(frozen=True, slots=True)
class LegFigures:
    """What came of a leg's packets."""

    packets: int = 0
    "Believed packets without duplicates, of all kinds."
    lost: int = 0
    "Of the audio; not what fell into a hold or a gap of the agent's own."
    duplicates: int = 0
    reordered: int = 0
    late: int = 0
    "More than 200 ms after their time; placed all the same."
    invalid: int = 0
    "No RTP, an unknown payload type, a source never validated, a lone wild packet."
    outside: int = 0
    "Before the segment's start or after its end, or over audio already placed."
    jitter_ms: float = 0.0
    "Mean interarrival jitter (RFC 3550 A.8) of the source with most packets."
    jitter_max_ms: float = 0.0
    ssrcs: int = 0
    "Validated sources."
    ssrc_changes: int = 0
    "How often the audio passed from one source to another."
    rebased: int = 0
    "How often a source took up another clock: the place is by arrival there."
    drift_ppm: float = 0.0
    """By how much the clock of the source with most packets ran faster than the
    agent's, in parts per million; 0 where it was not certain, or too little."""
    inserted: int = 0
    "Ticks of audio put in, one here and one there, because that clock was slow."
    removed: int = 0
    "Ticks of audio taken out because it was fast."


@dataclass(frozen=True, slots=True, eq=False)
class LegResult:
    """A leg's audio in place: parallel arrays, one entry per frame, in order."""

    total: int
    "Ticks from the segment's start to its end."
    clock_rate: int
    "Ticks in a second."
    figures: LegFigures
    gaps: list[Gap]
    codecs: tuple[str, ...]
    "Encoding names; `codec` indexes them."
    data: memoryview
    "All packets; `offset` points into it."
    position: Integers
    length: Integers
    offset: Integers
    "Where the packet's payload begins."
    octets: Integers
    "How long the payload is."
    skip: Integers
    "Ticks of it that were cut off its start."
    codec: Integers
    source: Integers
    stretch: Small
    "Ticks put into its audio or, negative, taken out."

    @property
    def audio_codecs(self) -> set[str]:
        """The encoding names of the audio that found a place."""
        return {self.codecs[number] for number in np.unique(self.codec).tolist()}

    @property
    def frames(self) -> Iterator[Frame]:
        """The frames in order of position; they do not overlap."""
        for first in range(0, len(self.position), _FRAMES):
            yield from self._frames(first, first + _FRAMES)

    def touching(self, start: int, end: int) -> Iterator[Frame]:
        """The frames that touch [start, end)."""
        first = int(np.searchsorted(self.position + self.length, start, side="right"))
        return self._frames(first, int(np.searchsorted(self.position, end)))

    def _frames(self, first: int, last: int) -> Iterator[Frame]:
        columns = (
            self.position,
            self.length,
            self.codec,
            self.offset,
            self.octets,
            self.skip,
            self.source,
            self.stretch,
        )
        names, data = self.codecs, self.data
        for position, length, codec, offset, octets, skip, source, stretch in zip(
            *(column[first:last].tolist() for column in columns), strict=True
        ):
            payload = data[offset : offset + octets]
            yield Frame(position, length, names[codec], payload, skip, source, stretch)


class LegTimeline:
    """Collects a leg's packets in arrival order, then places them.

    A packet of RFC 4733 events may come without its payload (digits are not kept):
    its header alone tells that its sequence number was not lost.
    """

    def __init__(
        self, codecs: Mapping[int, str], start_ns: int, joined_ns: int | None = None
    ) -> None:
        """`codecs` names the encoding of each payload type.

        `start_ns` is position 0 on the clock of the arrival times; a leg that was not
        there then `joined_ns` later.
        """
        self._start_ns = start_ns
        self._clock_rate = clock_rate_of("")
        self._codecs = [(0, dict(codecs))]
        self._arrivals = array("q")
        self._sizes = array("H")
        self._data = bytearray()
        self._refused = 0
        self._marks: list[tuple[int, tuple[GapReason, bool]]] = []
        if joined_ns is not None:
            self._marks += [(start_ns, _ABSENT), (joined_ns, _JOINED)]

    def add(self, arrival_ns: int, packet: bytes) -> None:
        """Take one RTP packet as it came off the wire."""
        size = len(packet)
        if not HEADER_LENGTH <= size <= MAX_PACKET or len(self._data) > MAX_OCTETS:
            self._refused += 1
            return
        self._arrivals.append(arrival_ns)
        self._sizes.append(size)
        self._data += packet

    def set_codecs(self, codecs: Mapping[int, str]) -> None:
        """Payload types mean this from the next packet on."""
        self._codecs.append((len(self._sizes), dict(codecs)))

    def mark(self, at_ns: int, kind: str) -> None:
        """Note where a hold, a pause or a gap begins or ends.

        Kinds that `_SPANS` does not name are ignored.
        """
        if kind in _SPANS:
            self._marks.append((at_ns, _SPANS[kind]))

    def finish(self, end_ns: int) -> LegResult:
        """Place everything between the start and `end_ns`. To be called once."""
        headers = parse_headers(self._data, self._sizes)
        codec, names = self._codec_of(headers.payload_type)
        known = headers.valid & (codec > 0)
        clocks = np.array([clock_rate_of(name) for name in names])[codec]
        self._clock_rate = int(clocks[known].max(initial=clock_rate_of("")))
        scale = self._clock_rate // clocks
        length = scale * durations(names, codec, headers, self._data)
        arrival = np.array(self._arrivals, np.int64) - self._start_ns
        samples = arrival.astype(np.float64) * (self._clock_rate / _NANOSECONDS)

        track = Track(max(0, self._sample(end_ns)))
        sources, ssrcs = _sources(headers, known)
        placements = []
        stretch = np.zeros(len(length), np.int16)
        for number, members in enumerate(sources):
            placement = place(
                headers.sequence[members],
                headers.timestamp[members],
                samples[members],
                length=length[members],
                scale=scale[members],
                clock_rate=self._clock_rate,
            )
            placements.append(placement)
            packet = members[placement.order]
            stretch[packet] = placement.stretch
            track.lay(
                number,
                packet,
                placement.positions,
                length[packet] + placement.stretch,
                placement.missing,
            )
        gaps, lost = track.gaps(self._spans(track.total))
        return LegResult(
            total=track.total,
            clock_rate=self._clock_rate,
            figures=replace(
                self._figures(sources, placements, track, stretch[track.packet]),
                lost=lost,
                ssrcs=ssrcs,
            ),
            gaps=gaps,
            codecs=names,
            data=memoryview(self._data).toreadonly(),
            position=track.position,
            length=track.length,
            offset=headers.payload[track.packet],
            octets=headers.length[track.packet],
            skip=track.trimmed,
            codec=codec[track.packet],
            source=track.source,
            stretch=stretch[track.packet],
        )

    def _sample(self, at_ns: int) -> int:
        return (at_ns - self._start_ns) * self._clock_rate // _NANOSECONDS

    def _codec_of(self, payload_type: Integers) -> tuple[Integers, tuple[str, ...]]:
        """The codec of each packet as an index into names; 0 is unknown."""
        names = [""]
        codec = np.zeros(len(payload_type), np.int64)
        for start, mapping in self._codecs:
            table = np.zeros(128, np.int64)
            for number, name in mapping.items():
                if name not in names:
                    names.append(name)
                table[number] = names.index(name)
            codec[start:] = table[payload_type[start:]]
        return codec, tuple(names)

    def _spans(self, total: int) -> list[Span]:
        """Where holds, pauses and gaps lie; one without an end lasts to the end."""
        active: set[GapReason] = set()
        current: GapReason | None = None
        since = 0
        spans: list[Span] = []
        for at_ns, (reason, begins) in sorted(self._marks, key=lambda mark: mark[0]):
            at = min(max(self._sample(at_ns), 0), total)
            if begins:
                active.add(reason)
            else:
                active.discard(reason)
            now = next((one for one in _PRECEDENCE if one in active), None)
            if now is not current:
                if current is not None and since < at:
                    spans.append(Span(since, at, current))
                current, since = now, at
        if current is not None:
            spans.append(Span(since, total, current))
        return spans

    def _figures(
        self,
        sources: list[Integers],
        placements: list[Placement],
        track: Track,
        stretch: Small,
    ) -> LegFigures:
        duplicates = sum(placement.duplicates for placement in placements)
        stray = sum(placement.stray for placement in placements)
        believed = sum(map(len, sources)) - duplicates - stray
        largest = max(
            range(len(sources)), key=lambda at: len(sources[at]), default=None
        )
        main = placements[largest] if largest is not None else None
        milliseconds = 1000 / self._clock_rate
        return LegFigures(
            packets=believed,
            duplicates=duplicates,
            reordered=sum(placement.reordered for placement in placements),
            late=sum(placement.late for placement in placements),
            invalid=self._refused + len(self._sizes) - believed - duplicates,
            outside=track.outside,
            jitter_ms=round(main.jitter * milliseconds, 3) if main else 0.0,
            jitter_max_ms=round(main.jitter_max * milliseconds, 3) if main else 0.0,
            ssrc_changes=int(np.count_nonzero(np.diff(track.source))),
            rebased=sum(placement.rebased for placement in placements),
            drift_ppm=round(-1e6 * main.drift, 1) + 0.0 if main else 0.0,
            inserted=int(stretch[stretch > 0].sum()),
            removed=-int(stretch[stretch < 0].sum()),
        )


def _sources(headers: RtpHeaders, known: Flags) -> tuple[list[Integers], int]:
    """The packets of each valid source, in the order the sources appeared.

    And how many SSRCs they have: several senders under one are several sources.
    """
    packets = np.flatnonzero(known)
    _, inverse, counts = np.unique(
        headers.ssrc[packets], return_inverse=True, return_counts=True
    )
    largest = np.argsort(-counts, kind="stable")[:MAX_SOURCES]
    sources = [packets[inverse == number] for number in largest.tolist()]
    valid = [members for members in sources if is_valid(headers.sequence[members])]
    sources = [
        members[places]
        for members in valid
        for places in senders(headers.sequence[members])
    ]
    return sorted(sources, key=lambda members: int(members[0])), len(valid)
