"""One leg of a segment: its RTP packets placed on the agent's monotonic clock.

Position 0 is the segment's start; positions and lengths are in ticks of the leg's
RTP clock, the fastest of its codecs'. Packets are only stored while they come; all
the work is in `finish`, on arrays, because an hour is 180,000 packets a leg. Payloads
are left where they stand, and read as their frames are: they are most of it.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from agent.formats.durations import clock_rate_of, is_opus
from agent.formats.packets import Packets, Said
from agent.formats.placement import SourceFigures, place
from agent.formats.senders import senders
from agent.formats.sequences import is_valid
from agent.formats.tables import BATCH, Table
from agent.formats.track import Gap, GapReason, Span, Track

__all__ = ["Frame", "Gap", "GapReason", "LegFigures", "LegResult", "LegTimeline"]

Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int16]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MAX_SOURCES: Final = 32
"A leg changes its source at a transfer; of more, those with most packets are kept."

_NANOSECONDS: Final = 1_000_000_000
_CODEC: Final = 5
"Its column in a result's table."
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


class Source(Protocol):
    """Where a leg's packets stand."""

    def octets(
        self, places: Sequence[int], sizes: Sequence[int]
    ) -> Iterator[memoryview]:
        """What stands at each of the places, so many octets of it."""


@dataclass(frozen=True, slots=True, eq=False)
class LegResult:
    """A leg's audio in place."""

    total: int
    "Ticks from the segment's start to its end."
    clock_rate: int
    "Ticks in a second."
    figures: LegFigures
    gaps: list[Gap]
    heard: dict[str, int]
    "Ticks of audio that found a place, by encoding name."
    wide: bool
    "Whether any of it, as Opus, may be of more than 8 kHz."
    codecs: tuple[str, ...]
    "Encoding names; the table's column indexes them."
    table: Table
    """A row for each frame, in order: position, length, place and octets of its
    payload, then skip, codec, source and stretch as a Frame has them."""
    starts: list[int]
    "The first position of each of the table's batches."
    packets: Source

    @property
    def audio_codecs(self) -> set[str]:
        """The encoding names of the audio that found a place."""
        return set(self.heard)

    @property
    def frames(self) -> Iterator[Frame]:
        """The frames in order of position; they do not overlap."""
        return self.frames_of(self.codecs)

    def frames_of(self, names: Collection[str]) -> Iterator[Frame]:
        """Those of these codecs."""
        wanted = np.array([name in names for name in self.codecs])
        for batch in range(self.table.batches):
            rows = self.table.rows(batch)
            yield from self._frames(rows, wanted[rows[_CODEC]])

    def touching(self, start: int, end: int) -> Iterator[Frame]:
        """The frames that touch [start, end)."""
        batch = max(bisect_right(self.starts, start) - 1, 0)
        while batch < self.table.batches and self.starts[batch] < end:
            rows = self.table.rows(batch)
            position, length = rows[:2]
            yield from self._frames(
                rows, (position + length > start) & (position < end)
            )
            batch += 1

    def _frames(self, rows: Sequence[Integers], chosen: Flags) -> Iterator[Frame]:
        position, length, places, octets, skip, codec, source, stretch = (
            column[chosen].tolist() for column in rows
        )
        return map(
            Frame,
            position,
            length,
            map(self.codecs.__getitem__, codec),
            self.packets.octets(places, octets),
            skip,
            source,
            stretch,
        )


class LegTimeline:
    """Collects a leg's packets in arrival order, then places them.

    A packet of RFC 4733 events may come without its payload (digits are not kept):
    its header alone tells that its sequence number was not lost.
    """

    def __init__(
        self,
        codecs: Mapping[int, str],
        start_ns: int,
        source: Source,
        *,
        joined_ns: int | None = None,
    ) -> None:
        """`codecs` names the encoding of each payload type.

        `start_ns` is position 0 on the clock of the arrival times; a leg that was not
        there then `joined_ns` later. From `source` payloads are read again.
        """
        self._start_ns = start_ns
        self._clock_rate = clock_rate_of("")
        self._source = source
        self._packets = Packets(codecs)
        self._marks: list[tuple[int, tuple[GapReason, bool]]] = []
        if joined_ns is not None:
            self._marks += [(start_ns, _ABSENT), (joined_ns, _JOINED)]

    def add(self, arrival_ns: int, packet: bytes, place: int) -> None:
        """Take one RTP packet as it came off the wire, which stands at `place`."""
        self._packets.add(arrival_ns, packet, place)

    def set_codecs(self, codecs: Mapping[int, str]) -> None:
        """Payload types mean this from the next packet on."""
        self._packets.set_codecs(codecs)

    def mark(self, at_ns: int, kind: str) -> None:
        """Note where a hold, a pause or a gap begins or ends.

        Kinds that `_SPANS` does not name are ignored.
        """
        if kind in _SPANS:
            self._marks.append((at_ns, _SPANS[kind]))

    def finish(self, end_ns: int) -> LegResult:
        """Place everything between the start and `end_ns`. To be called once."""
        self._packets.settle()
        said, names = self._packets.table, tuple(self._packets.names)
        codec = said.column(Said.CODEC, np.int32)
        clocks = np.array([clock_rate_of(name) for name in names])
        self._clock_rate = int(clocks[codec].max(initial=clock_rate_of("")))
        scale = (self._clock_rate // clocks).astype(np.int32)
        track = Track(max(0, self._sample(end_ns)))
        sources, ssrcs = _sources(said)
        of_sources = []
        stretch = np.zeros(len(codec), np.int16)
        for number, members in enumerate(sources):
            factor = scale[codec[members]]
            placement = place(
                said.column(Said.SEQUENCE, np.int32)[members],
                said.column(Said.TIMESTAMP)[members],
                self._ticks(said.column(Said.ARRIVAL)[members]),
                length=factor * said.column(Said.TICKS, np.int32)[members],
                scale=factor,
                clock_rate=self._clock_rate,
            )
            del factor
            of_sources.append(placement.figures)
            packet = members[placement.order]
            stretch[packet] = placement.stretch
            track.lay(
                number,
                packet,
                placement.positions,
                scale[codec[packet]] * said.column(Said.TICKS, np.int32)[packet]
                + placement.stretch,
                placement.missing,
            )
        gaps, lost = track.gaps(self._spans(track.total))
        placed = codec[track.packet]
        opus = np.array([is_opus(name) for name in names])[placed]
        ticks = np.bincount(placed, track.length, len(names)).tolist()
        table = Table()
        table.extend(
            track.position,
            track.length,
            said.column(Said.PLACE)[track.packet],
            said.column(Said.OCTETS)[track.packet],
            track.trimmed,
            placed,
            track.source,
            stretch[track.packet],
        )
        return LegResult(
            total=track.total,
            clock_rate=self._clock_rate,
            figures=replace(
                self._figures(sources, of_sources, track, stretch[track.packet]),
                lost=lost,
                ssrcs=ssrcs,
            ),
            gaps=gaps,
            heard={
                name: int(count)
                for name, count in zip(names, ticks, strict=True)
                if count
            },
            wide=bool(said.column(Said.WIDE)[track.packet][opus].any()),
            codecs=names,
            table=table,
            starts=track.position[::BATCH].tolist(),
            packets=self._source,
        )

    def _ticks(self, at_ns: Integers) -> Floats:
        """Moments in ticks from position 0."""
        return (at_ns - self._start_ns).astype(np.float64) * (
            self._clock_rate / _NANOSECONDS
        )

    def _sample(self, at_ns: int) -> int:
        return (at_ns - self._start_ns) * self._clock_rate // _NANOSECONDS

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
        of_sources: list[SourceFigures],
        track: Track,
        stretch: Small,
    ) -> LegFigures:
        duplicates = sum(one.duplicates for one in of_sources)
        stray = sum(one.stray for one in of_sources)
        believed = sum(map(len, sources)) - duplicates - stray
        largest = max(
            range(len(sources)), key=lambda at: len(sources[at]), default=None
        )
        main = of_sources[largest] if largest is not None else None
        milliseconds = 1000 / self._clock_rate
        return LegFigures(
            packets=believed,
            duplicates=duplicates,
            reordered=sum(one.reordered for one in of_sources),
            late=sum(one.late for one in of_sources),
            invalid=self._packets.refused
            + len(self._packets.table)
            - believed
            - duplicates,
            outside=track.outside,
            jitter_ms=round(main.jitter * milliseconds, 3) if main else 0.0,
            jitter_max_ms=round(main.jitter_max * milliseconds, 3) if main else 0.0,
            ssrc_changes=int(np.count_nonzero(np.diff(track.source))),
            rebased=sum(one.rebased for one in of_sources),
            drift_ppm=round(-1e6 * main.drift, 1) + 0.0 if main else 0.0,
            inserted=int(stretch[stretch > 0].sum()),
            removed=-int(stretch[stretch < 0].sum()),
        )


def _sources(said: Table) -> tuple[list[Integers], int]:
    """The packets of each valid source, in the order the sources appeared.

    And how many SSRCs they have: several senders under one are several sources.
    """
    sequence = said.column(Said.SEQUENCE, np.int32)
    ssrc = said.column(Said.SSRC)
    found, counts = np.unique(ssrc, return_counts=True)
    largest = found[np.argsort(-counts, kind="stable")[:MAX_SOURCES]]
    sources = [np.flatnonzero(ssrc == number) for number in largest]
    valid = [members for members in sources if is_valid(sequence[members])]
    sources = [
        members[places] for members in valid for places in senders(sequence[members])
    ]
    return sorted(sources, key=lambda members: int(members[0])), len(valid)
