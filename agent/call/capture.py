"""The recording side of one call: who is in a segment, what is held, what it means."""

from agent.call.commands import OpenRecording, PauseRecording, ResumeRecording
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.legs import Legs
from agent.call.officers import officer_of
from agent.call.open_segment import OpenSegment
from agent.call.recorded_time import RecordedTime
from agent.call.routing import Plan
from agent.call.state import CaptureState
from agent.common.clock import monotonic_ns, utc_ns
from agent.common.ids import new_id
from agent.identity.numbers import normalise
from agent.media.events import PlayEnded
from agent.media.sound import Sound
from agent.model.call import EndCause
from agent.model.media import Direction
from agent.model.recording import (
    NoticeEvidence,
    SegmentBegin,
    SegmentMark,
)


class Capture:
    """The segments of one call: at most one open, one group."""

    def __init__(self, joint: Joint, *, call_id: str, plan: Plan, called: str) -> None:
        self._joint = joint
        self._call_id = call_id
        self._plan = plan
        self._called = called
        self._group = new_id()
        self._log = joint.log.bind(call_id=call_id)
        self._open: OpenSegment | None = None
        self._legs: tuple[Leg, Leg] | None = None
        self._paused: PauseRecording | None = None
        self._broke = False
        "Of segments that the process before this one has sealed."
        self._ended_ns = 0
        "When a segment ended for whatever happens now; 0: none did."
        self._time = RecordedTime()
        self._missing = RecordedTime()
        self.held = False
        self.segments: list[OpenSegment] = []

    @property
    def state(self) -> CaptureState:
        """All of it, for `restore` in another process."""
        return CaptureState(
            group=self._group,
            segments=tuple(segment.recording_id for segment in self.segments),
            open=self._open is not None,
            legs=(self._legs[0].name, self._legs[1].name) if self._legs else None,
            held=self.held,
            paused=self._paused,
            interrupted=self.interrupted,
            recorded=self._time.state,
            missing=self._missing.state,
        )

    def restore(self, state: CaptureState, legs: Legs) -> None:
        """Go on where another one stood; the recorder has its segments already."""
        self._group = state.group
        self._broke = state.interrupted
        self._time = RecordedTime(*state.recorded)
        self._missing = RecordedTime(*state.missing)
        segment = self._joint.recorder.segment
        found = [segment(recording_id) for recording_id in state.segments]
        self.segments = [one for one in found if one is not None]
        if state.legs is not None:
            customer, officer = (legs.get(name) for name in state.legs)
            if customer is not None and officer is not None:
                self._legs = customer, officer
        if state.open and self._legs is not None:
            self._open = found[-1]
            self.held = state.held
            self._paused = state.paused

    def open(self, command: OpenRecording, customer: Leg, officer: Leg) -> None:
        """Begin a segment now, or where the one before has ended just now."""
        now_ns = monotonic_ns()
        begun_ns = self._ended_ns or now_ns
        person, recipient = officer_of(self._joint, officer.number, self._log)
        self._legs = (customer, officer)
        self.held = False
        begin = SegmentBegin(
            recording_id=new_id(),
            group=self._group,
            segment=command.segment,
            direction=self._plan.direction,
            caller=normalise(customer.number, self._joint.identity),
            service=self._called,
            officers=(person,),
            notices=command.notices,
            started_at=utc_ns() - (now_ns - begun_ns),
            started_monotonic_ns=begun_ns,
            codecs=self._codecs(),
            agent=self._joint.software,
            host=self._joint.host,
        )
        self._open = self._joint.recorder.open(
            self._call_id,
            begin,
            legs=self._media_ids(),
            officers=() if recipient is None else (recipient,),
            tapped=command.paused is None,
            since_ns=self._ended_ns,
        )
        self.segments.append(self._open)
        self._log.info(
            "recording_begun", recording_id=begin.recording_id, group=begin.group
        )
        self._paused = command.paused
        if self._paused is not None:
            at_ns = begin.started_monotonic_ns
            self._mark("pause-begin", at_ns, self._paused.by, self._paused.reason)
        else:
            self._time.begin(begin.started_monotonic_ns)
        self._update_hold()

    def part(self) -> None:
        """Something else happens now: a segment that begins follows no other."""
        self._ended_ns = 0

    def close(self, cause: EndCause) -> None:
        """End the open segment, if one is."""
        if self._open is not None:
            if cause is EndCause.RECORDING_STOPPED:
                # More was said, and of this none is kept.
                self._open.gap = True
            self._ended_ns = self._joint.recorder.close(self._open, cause)
            self._time.end(self._ended_ns)
            self._open = None
            self.held = False

    def agreed(self, *, codecs_changed: bool) -> None:
        """An offer/answer exchange of either leg is complete."""
        if self._open is None:
            return
        if codecs_changed:
            codecs = self._codecs()
            mark = SegmentMark(
                at_monotonic_ns=monotonic_ns(), kind="codecs", codecs=codecs
            )
            self._joint.recorder.mark(self._open, mark)
        self._update_hold()

    def media_changed(self, leg: Leg, *, codec: bool) -> None:
        """Note in the journal that a leg sounds otherwise, and nobody said why."""
        if self._open is not None and self._legs is not None and leg in self._legs:
            mark = SegmentMark(
                at_monotonic_ns=monotonic_ns(),
                kind="changed",
                leg=self._legs.index(leg),
                reason="codec" if codec else "source",
            )
            self._joint.recorder.mark(self._open, mark)

    @property
    def recorded_seconds(self) -> float:
        """How long the call was recorded up to now, holds and pauses apart."""
        return self._time.seconds(monotonic_ns())

    def count_missing(self, *, on: bool) -> None:
        """Begin to count talk that should be recorded and is not, or end it."""
        if on:
            self._missing.begin(monotonic_ns())
        else:
            self._missing.end(monotonic_ns())

    @property
    def missing_ms(self) -> int:
        """How much talk up to now should have been recorded, and was not.

        What a gap in a segment is short of, who finishes it finds. A party that was
        held meanwhile counts too: nobody has noted when.
        """
        return round(self._missing.seconds(monotonic_ns()) * 1000)

    @property
    def lost(self) -> bool:
        """Whether nobody can ever open what is being captured."""
        return self._open is not None and self._open.lost

    @property
    def interrupted(self) -> bool:
        """Whether capture of any segment broke, for however short a time."""
        return self._broke or any(segment.gap for segment in self.segments)

    def _update_hold(self) -> None:
        """While a party is held nothing is journalled, and the timeline says so."""
        if self._open is None or self._legs is None:
            return
        held = any(leg.asked is not Direction.SENDRECV for leg in self._legs)
        if held and not self.held:
            self._suspend("hold")
            self.held = True
            self._log.info("held")
        elif self.held and not held:
            self.held = False
            self._go_on("resume")
            self._log.info("resumed")

    def pause(self, command: PauseRecording) -> None:
        """Keep nothing of what is said from now on."""
        if self._paused is None:
            self._suspend("pause-begin", command.by, command.reason)
        self._paused = command
        self._log.info(
            "recording_paused",
            by=command.by,
            reason=command.reason,
            seconds=round(command.seconds, 3),
        )
        self._joint.telling.paused(
            self._call_id,
            by=command.by,
            reason=command.reason,
            seconds=command.seconds,
        )

    def resume(self, command: ResumeRecording) -> None:
        """Keep again what is said."""
        self._paused = None
        self._go_on("pause-end", command.by, command.reason)
        self._log.info("recording_resumed", by=command.by, reason=command.reason)
        self._joint.telling.resumed(self._call_id, by=command.by, reason=command.reason)

    def _suspend(self, kind: str, by: str = "", reason: str = "") -> None:
        """Begin a span of which nothing is kept, unless another one is on."""
        at_ns = monotonic_ns()
        if self._open is not None and not self._suspended:
            self._joint.recorder.tap(self._open, self._media_ids(), at_ns, on=False)
            self._time.end(at_ns)
        self._mark(kind, at_ns, by, reason)

    def _go_on(self, kind: str, by: str = "", reason: str = "") -> None:
        """End such a span; what is said is kept unless another one is on."""
        at_ns = monotonic_ns()
        self._mark(kind, at_ns, by, reason)
        if self._open is not None and not self._suspended:
            self._joint.recorder.tap(self._open, self._media_ids(), at_ns, on=True)
            self._time.begin(at_ns)

    @property
    def _suspended(self) -> bool:
        return self.held or self._paused is not None

    def _mark(self, kind: str, at_ns: int, by: str, reason: str) -> None:
        if self._open is not None:
            mark = SegmentMark(at_monotonic_ns=at_ns, kind=kind, by=by, reason=reason)
            self._joint.recorder.mark(self._open, mark)

    def _codecs(self) -> dict[str, dict[str, str]]:
        customer, officer = self._pair
        return {"0": dict(customer.codecs_seen), "1": dict(officer.codecs_seen)}

    def _media_ids(self) -> tuple[str, str]:
        customer, officer = self._pair
        return customer.media_id, officer.media_id

    @property
    def _pair(self) -> tuple[Leg, Leg]:
        if self._legs is None:
            raise RuntimeError("no segment was ever opened")
        return self._legs


def evidence(sound: Sound, event: PlayEnded) -> NoticeEvidence:
    """What can be proven of one notice that was sent."""
    to_utc = utc_ns() - monotonic_ns()
    return NoticeEvidence(
        sha256=sound.sha256,
        language=sound.language,
        duration_ms=sound.duration_ms,
        sent_ms=event.sent_ms,
        packets=event.frames,
        started_at=event.started_ns + to_utc,
        ended_at=event.ended_ns + to_utc,
    )
