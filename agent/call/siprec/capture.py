"""The recording side of one recording session: segments, their legs, their silence."""

from collections.abc import Callable

import msgspec

from agent.call.commands import PauseRecording, ResumeRecording
from agent.call.joint import Joint
from agent.call.officers import officer_of
from agent.call.segment_series import SegmentSeries
from agent.call.siprec.commands import AddStream, OpenSegment, Silence
from agent.call.siprec.documents import Document
from agent.call.siprec.knowledge import Knowledge
from agent.call.siprec.spans import Span, changes, recorded, spans_of
from agent.call.siprec.state import SessionCaptureState
from agent.call.siprec.streams import Stream
from agent.common.clock import monotonic_ns
from agent.common.ids import new_id
from agent.model.call import EndCause
from agent.model.recording import SegmentBegin, SegmentMark


class SessionCapture:
    """At most one segment is open; `stream_of` finds a stream by its name."""

    def __init__(
        self,
        joint: Joint,
        knowledge: Knowledge,
        stream_of: Callable[[str], Stream],
        *,
        call_id: str,
    ) -> None:
        self._joint = joint
        self._knowledge = knowledge
        self._stream_of = stream_of
        self._call_id = call_id
        self._log = joint.log.bind(call_id=call_id)
        self._legs: list[str] = []
        self._inactive: frozenset[str] = frozenset()
        self._held: frozenset[str] = frozenset()
        self._paused: PauseRecording | None = None
        self._spans: tuple[Span, ...] = ()
        self._kept: frozenset[str] = frozenset()
        "Those legs that are tapped."
        self.series = SegmentSeries(joint.recorder, call_id=call_id)
        "Forgets those that were known to be whole when the last one began."

    @property
    def state(self) -> SessionCaptureState:
        """All of it, for `restore` in another process."""
        return SessionCaptureState(
            **msgspec.structs.asdict(self.series.state),
            legs=tuple(self._legs),
            inactive=self._inactive,
            held=self._held,
            paused=self._paused,
            spans=self._spans,
        )

    def restore(self, state: SessionCaptureState) -> None:
        """Go on where another one stood; the recorder has its segments already."""
        self.series.restore(state)
        if state.open:
            self._legs = list(state.legs)
            self._inactive, self._held = state.inactive, state.held
            self._paused = state.paused
            self._spans = state.spans
            self._kept = self._recorded()

    # -- segments --------------------------------------------------------------

    def open(self, command: OpenSegment, *, since_ns: int | None = None) -> None:
        """Begin a segment now, or at `since_ns` of CLOCK_MONOTONIC, just before.

        Or where the one before has ended just now.
        """
        started_at, begun_ns = self.series.next_begins(since_ns)
        situation, parties = command.situation, command.situation.parties
        people = [
            officer_of(self._joint, number, self._log) for number in parties.officers
        ]
        keys = {str(key): key for _, key in people if key is not None}
        self._legs = list(command.legs)
        self._inactive = situation.inactive(self._legs)
        self._held = situation.on_hold(self._legs)
        self._paused = command.paused
        self._spans, self._kept = (), self._recorded()
        begin = SegmentBegin(
            recording_id=new_id(),
            group=self._knowledge.group(self._call_id),
            segment=command.number,
            direction=parties.direction,
            caller=parties.caller,
            service=parties.service,
            officers=tuple(officer for officer, _ in people),
            notices=(),
            started_at=started_at,
            started_monotonic_ns=begun_ns,
            codecs=self._codecs(),
            agent=self._joint.software,
            host=self._joint.host,
            channels=command.channels,
            session=self._knowledge.recorded_session(parties),
        )
        self.series.forget_whole()
        self.series.begin(
            begin,
            legs=tuple(self._stream_of(name).media_id for name in self._legs),
            officers=tuple(keys.values()),
            tapped=[name in self._kept for name in self._legs],
        )
        self._log.info(
            "recording_begun",
            recording_id=begin.recording_id,
            group=begin.group,
            direction=parties.direction,
            basis=parties.basis,
            tolerated=list(self._knowledge.tolerated),
        )
        for document in self._knowledge.documents:
            self.document(document)
        self._mark_spans(begun_ns)
        if self._kept:
            self.series.recorded.begin(begun_ns)

    def close(self, cause: EndCause, *, discard: bool = False) -> None:
        """End the open segment, if one is; with `discard` nothing of it is kept."""
        if discard and self.series.open is not None:
            name = self.series.open.recording_id
            self._log.warning("recording_discarded", recording_id=name)
        if self.series.close(cause, discard=discard):
            self._legs, self._spans = [], ()

    def document(self, document: Document) -> None:
        """Keep what the client tells, as it came, in the segment that is open."""
        if self.series.open is not None:
            self._joint.recorder.note_metadata(
                self.series.open, document.xml, document.flaws
            )

    @property
    def legs(self) -> tuple[str, ...]:
        """Names of the open segment's streams."""
        return tuple(self._legs)

    # -- legs ------------------------------------------------------------------

    def add(self, command: AddStream) -> None:
        """A stream joins the segment."""
        if self.series.open is None:
            return
        at_ns, index = monotonic_ns(), len(self._legs)
        stream = self._stream_of(command.leg)
        mark = SegmentMark(
            at_monotonic_ns=at_ns,
            kind="stream",
            channel=command.channel,
            codecs={str(index): dict(stream.codecs_seen)},
        )
        added = self._joint.recorder.add_leg(self.series.open, stream.media_id, mark)
        if added is None:
            # The recording has broken, and that is told by itself.
            return
        self._legs.append(command.leg)
        self._kept |= {command.leg}
        self._turn(at_ns)

    def codecs_changed(self) -> None:
        """A payload type of some stream means something that it did not before."""
        if self.series.open is not None:
            self.series.mark_codecs(self._codecs())

    def media_changed(self, leg: Stream, *, codec: bool) -> None:
        """Note that a stream sounds otherwise, and nobody said why."""
        if leg.name in self._legs:
            self.series.mark_changed(self._legs.index(leg.name), codec=codec)

    # -- silence ---------------------------------------------------------------

    def silence(self, command: Silence) -> None:
        """Other streams are silent on purpose from now on."""
        was_held = self._nobody_heard
        self._inactive, self._held = command.inactive, command.held
        self._turn(monotonic_ns())
        if self._nobody_heard is not was_held:
            self._log.info("resumed" if was_held else "held")

    def pause(self, command: PauseRecording) -> None:
        """Keep nothing of what is said from now on."""
        self._paused = self._paused or command
        self._turn(monotonic_ns())

    def resume(self, command: ResumeRecording) -> None:
        """Keep again what is said."""
        self._paused = None
        self._turn(monotonic_ns(), command)

    def _turn(self, at_ns: int, ended: ResumeRecording | None = None) -> None:
        """Keep what is to be kept by now, and mark why the rest is not."""
        if self.series.open is None:
            return
        kept, before = self._recorded(), self._kept
        self._kept = kept
        self._tap(before - kept, at_ns, on=False)
        self._mark_spans(at_ns, ended)
        self._tap(kept - before, at_ns, on=True)
        if kept:
            self.series.recorded.begin(at_ns)
        else:
            self.series.recorded.end(at_ns)

    def _tap(self, names: frozenset[str], at_ns: int, *, on: bool) -> None:
        legs = [self._stream_of(n).media_id for n in self._legs if n in names]
        self.series.tap(legs, at_ns, on=on)

    def _mark_spans(self, at_ns: int, ended: ResumeRecording | None = None) -> None:
        now = spans_of(
            self._legs, inactive=self._inactive, held=self._held, paused=self._paused
        )
        over, new = changes(self._spans, now)
        self._spans = now
        for span in over:
            by, reason = span.by, ""
            if ended is not None and span.kind == "pause":
                by, reason = ended.by, ended.reason
            self._mark(span.end, span, at_ns, by, reason)
        for span in new:
            self._mark(span.begin, span, at_ns, span.by, span.reason)

    def _mark(self, kind: str, span: Span, at_ns: int, by: str, reason: str) -> None:
        self.series.mark(
            SegmentMark(
                at_monotonic_ns=at_ns, kind=kind, leg=span.leg, by=by, reason=reason
            )
        )

    def _codecs(self) -> dict[str, dict[str, str]]:
        return {
            str(index): dict(self._stream_of(name).codecs_seen)
            for index, name in enumerate(self._legs)
        }

    def _recorded(self) -> frozenset[str]:
        return recorded(
            self._legs, inactive=self._inactive, held=self._held, paused=self._paused
        )

    # -- how it stands ---------------------------------------------------------

    @property
    def held(self) -> bool:
        """Whether silence is no wonder: who waits for somebody on hold says nothing.

        A stream that is no more has nobody on hold.
        """
        silent = self._inactive.union(self._held).intersection(self._legs)
        there = (self._stream_of(name).audio is not None for name in silent)
        return self._nobody_heard or any(there)

    @property
    def _nobody_heard(self) -> bool:
        """Whether no stream is to be heard, of the client's own accord."""
        return self._inactive.union(self._held).issuperset(self._legs)
