"""Journals of one segment → its stereo track and all its manifest says.

Everything needed stands in the journals: the beginning, the marks, the end. The host
that recorded it and whoever opens a dead host's journal go the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from agent.formats.aligner import Lane, Meters, StereoTrack, align
from agent.formats.cues import Cue, cue_points
from agent.formats.gap_map import gap_map
from agent.formats.journal import JournalError
from agent.formats.journal_blocks import Readable, StoredBlocks
from agent.formats.manifest import (
    AudioFacts,
    Gap,
    LegFigures,
    Manifest,
    ManifestOfficer,
    ManifestSession,
    MetadataDocument,
    Pause,
    moment,
)
from agent.formats.quality import assess, overall
from agent.formats.timeline import LegResult
from agent.model.call import EndCause, Outcome
from agent.model.recording import (
    OPUS_BITRATE,
    RecordingFormat,
    SegmentBegin,
    SegmentEnd,
    SegmentMark,
)
from agent.recording.collecting import AssemblyError, Collector

MIN_STEP_NS: Final = 100_000_000
"Less than that nobody sets a clock by; two readings of it are that exact at worst."


@dataclass(slots=True)
class Assembled:
    """One segment, ready to be written as an audio file."""

    begin: SegmentBegin
    end: SegmentEnd
    track: StereoTrack
    pauses: tuple[Pause, ...]
    documents: tuple[MetadataDocument, ...]
    marks: tuple[SegmentMark, ...]
    "From when to when parties were held, recording paused, the agent not listening."
    whole: bool
    "Whether every journal was complete."
    clock_step_ns: int
    "By how much the host's clock was set between its beginning and its end, or 0."
    meters: Meters = field(init=False)

    def file(self, opus_bitrate: int = OPUS_BITRATE) -> Iterator[bytes]:
        """The audio file in pieces; what passes is measured."""
        self.meters = self.track.meters()
        return self.track.file(self.meters, self.cues(), opus_bitrate)

    @property
    def filed_at(self) -> int:
        """The moment that its day, and so its year, counts from, in UTC nanoseconds.

        Of two readings of a clock that was set the later one: nothing goes too early.
        """
        return self.end.ended_at + max(0, self.clock_step_ns)

    def cues(self) -> tuple[Cue, ...]:
        """What players show: the segment, the notice's end, holds, pauses and gaps."""
        begin = self.begin
        moments = [(0, f"segment {begin.segment}")]
        moments += [
            (notice.ended_at - begin.started_at, "notice-end")
            for notice in begin.notices
        ]
        moments += [
            (mark.at_monotonic_ns - begin.started_monotonic_ns, mark.kind)
            for mark in self.marks
        ]
        return cue_points(moments, self.track.sample_rate, self.track.samples)

    def manifest(self, audio_sha256: str, audio_size: int) -> Manifest:
        """What is said of it, once `file` has been read to its end.

        The digest and size are those of the audio file.
        """
        begin, end = self.begin, self.end
        lanes = self.track.lanes
        qualities = [
            assess(lane.leg, meter)
            for lane, meter in zip(lanes, self.meters, strict=True)
        ]
        started, ended = moment(begin.started_at), moment(end.ended_at)
        gaps = [
            Gap(
                leg=number,
                start_ms=entry.start * 1000 // leg.clock_rate,
                duration_ms=entry.samples * 1000 // leg.clock_rate,
                silent_ms=entry.silent * 1000 // leg.clock_rate,
                count=entry.parts,
                reason=entry.reason,
            )
            for number, (leg, _) in enumerate(lanes)
            for entry in gap_map(leg.gaps)
        ]
        codecs = sorted(set().union(*(leg.audio_codecs for leg, _ in lanes)))
        return Manifest(
            id=begin.recording_id,
            group=begin.group,
            segment=begin.segment,
            direction=begin.direction,
            caller=begin.caller,
            service=begin.service,
            officers=tuple(
                ManifestOfficer(
                    number=officer.number, name=officer.name, from_=started, to=ended
                )
                for officer in begin.officers
            ),
            started=started,
            ended=ended,
            clock_stepped_ms=self.clock_step_ns // 1_000_000 or msgspec.UNSET,
            notices=begin.notices,
            audio=AudioFacts(
                format=self.track.format,
                codecs=tuple(codecs),
                sample_rate=self.track.sample_rate,
                channels=2,
                duration_ms=self.track.duration_ms,
                sha256=audio_sha256,
                size=audio_size,
            ),
            gaps=tuple(gaps),
            pauses=self.pauses,
            legs=tuple(
                LegFigures(
                    role=channel,
                    packets=leg.figures.packets,
                    lost=leg.figures.lost,
                    duplicates=leg.figures.duplicates,
                    reordered=leg.figures.reordered,
                    jitter_ms=leg.figures.jitter_ms,
                    ssrcs=leg.figures.ssrcs,
                    clock_restarts=leg.figures.rebased,
                    drift_ppm=leg.figures.drift_ppm,
                    samples_inserted=self._samples(leg.figures.inserted, leg),
                    samples_removed=self._samples(leg.figures.removed, leg),
                    loss_percent=quality.loss_percent,
                    longest_gap_ms=quality.longest_gap_ms,
                    listened_ms=quality.listened_ms,
                    silence=quality.silence,
                    clipping=quality.clipping,
                    mos=quality.mos,
                    verdict=quality.verdict,
                )
                for (leg, channel), quality in zip(lanes, qualities, strict=True)
            ),
            verdict=overall(
                (lane.channel, quality.verdict)
                for lane, quality in zip(lanes, qualities, strict=True)
            ),
            end_cause=end.cause,
            outcome=end.outcome,
            agent=begin.agent,
            host=begin.host,
            session=self._session(),
        )

    def _session(self) -> ManifestSession | msgspec.UnsetType:
        told = self.begin.session
        if told is None:
            return msgspec.UNSET
        return ManifestSession(
            source=told.source,
            session_ids=told.session_ids,
            group_id=told.group_id,
            basis=told.basis,
            mixed=told.mixed,
            participants=told.participants,
            tolerated=told.tolerated,
            notice=told.notice,
            metadata=self.documents,
        )

    def _samples(self, ticks: int, leg: LegResult) -> int:
        """As many as the file has in so many ticks of a leg's clock."""
        return ticks * self.track.sample_rate // leg.clock_rate


def assemble(
    journals: Sequence[Readable],
    journal_key: bytes,
    end: SegmentEnd | None = None,
    *,
    kept: RecordingFormat = RecordingFormat.WIRE,
) -> Assembled:
    """Read journals, in the order of their epochs.

    They are read twice: the audio is left in them until `Assembled.file` wants it.
    `end` is what the recorder knows of the end, if it is there to tell; else the last
    note says, or the last packet. Raises JournalError, AssemblyError, AlignerError.
    """
    stored = StoredBlocks(journal_key)
    collector = Collector(stored)
    whole = True
    failure: JournalError | None = None
    for file in journals:
        try:
            journal = stored.read(file)
            for place, block in journal:
                collector.take(place, block)
            whole = whole and journal.complete
        except JournalError as error:
            # One that never got a whole header, beside others that did: each epoch
            # repeats how the recording began.
            whole = False
            failure = failure or error
    if collector.begin is None:
        raise failure or AssemblyError("no journal tells how the recording began.")
    ended = end or collector.end or _guessed_end(collector, collector.begin)
    if not whole or len(journals) > 1:
        ended = msgspec.structs.replace(ended, outcome=Outcome.PARTIAL)
    ended, step_ns = _measured(collector.begin, ended)
    lanes = [
        Lane(timeline.finish(ended.ended_monotonic_ns), channel)
        for timeline, channel in zip(
            collector.timelines, collector.channels, strict=True
        )
    ]
    longest = max((leg.total * 1000 / leg.clock_rate for leg, _ in lanes), default=0.0)
    track = align(lanes, longest, kept)
    pauses = collector.pauses.between(
        collector.begin.started_monotonic_ns, ended.ended_monotonic_ns
    )
    return Assembled(
        begin=collector.begin,
        end=ended,
        track=track,
        pauses=pauses,
        documents=collector.documents.since(collector.begin.started_monotonic_ns),
        marks=tuple(collector.marks),
        whole=whole,
        clock_step_ns=step_ns,
    )


def _measured(begin: SegmentBegin, end: SegmentEnd) -> tuple[SegmentEnd, int]:
    """The end by the monotonic clock, and how far off the host's clock was by then."""
    lasted = end.ended_monotonic_ns - begin.started_monotonic_ns
    ended_at = begin.started_at + lasted
    step = end.ended_at - ended_at
    if abs(step) < MIN_STEP_NS:
        return end, 0
    return msgspec.structs.replace(end, ended_at=ended_at), step


def digest(chunks: Iterator[bytes]) -> tuple[str, int]:
    """SHA-256, in hexadecimal, and size of a file in pieces."""
    state, size = sha256(), 0
    for chunk in chunks:
        state.update(chunk)
        size += len(chunk)
    return state.hexdigest(), size


def _guessed_end(collector: Collector, begin: SegmentBegin) -> SegmentEnd:
    """The host died: what was captured last is the end that is known."""
    frame = 20_000_000
    last = max(collector.last_arrival_ns + frame, begin.started_monotonic_ns)
    return SegmentEnd(
        ended_at=begin.started_at + last - begin.started_monotonic_ns,
        ended_monotonic_ns=last,
        cause=EndCause.AGENT_DIED,
        outcome=Outcome.PARTIAL,
    )
