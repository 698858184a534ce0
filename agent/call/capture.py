"""The recording side of one call: who is in a segment, what is held, what it means."""

import msgspec

from agent.call.commands import OpenRecording, PauseRecording, ResumeRecording
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.legs import Legs
from agent.call.officers import officer_of
from agent.call.routing import Plan
from agent.call.segment_series import SegmentSeries
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
    """Who is in a call's segments, all of one group, and when nothing is kept of it."""

    def __init__(self, joint: Joint, *, call_id: str, plan: Plan, called: str) -> None:
        self._joint = joint
        self._plan = plan
        self._called = called
        self._group = new_id()
        self._log = joint.log.bind(call_id=call_id)
        self._legs: tuple[Leg, Leg] | None = None
        self._paused: PauseRecording | None = None
        self.held = False
        self.series = SegmentSeries(joint.recorder, call_id=call_id)

    @property
    def state(self) -> CaptureState:
        """All of it, for `restore` in another process."""
        return CaptureState(
            **msgspec.structs.asdict(self.series.state),
            group=self._group,
            legs=(self._legs[0].name, self._legs[1].name) if self._legs else None,
            held=self.held,
            paused=self._paused,
        )

    def restore(self, state: CaptureState, legs: Legs) -> None:
        """Go on where another one stood; the recorder has its segments already."""
        self._group = state.group
        self.series.restore(state)
        if state.legs is not None:
            customer, officer = (legs.get(name) for name in state.legs)
            if customer is not None and officer is not None:
                self._legs = customer, officer
        if state.open:
            self.held = state.held
            self._paused = state.paused

    def open(self, command: OpenRecording, customer: Leg, officer: Leg) -> None:
        """Begin a segment now, or where the one before has ended just now."""
        started_at, begun_ns = self.series.next_begins()
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
            started_at=started_at,
            started_monotonic_ns=begun_ns,
            codecs=self._codecs(),
            agent=self._joint.software,
            host=self._joint.host,
        )
        self.series.begin(
            begin,
            legs=self._media_ids(),
            officers=() if recipient is None else (recipient,),
            tapped=command.paused is None,
        )
        self._log.info(
            "recording_begun", recording_id=begin.recording_id, group=begin.group
        )
        self._paused = command.paused
        if self._paused is not None:
            self._mark("pause-begin", begun_ns, self._paused.by, self._paused.reason)
        else:
            self.series.recorded.begin(begun_ns)
        self._update_hold()

    def close(self, cause: EndCause) -> None:
        """End the open segment, if one is."""
        if self.series.close(cause):
            self.held = False

    def agreed(self, *, codecs_changed: bool) -> None:
        """An offer/answer exchange of either leg is complete."""
        if self.series.open is None:
            return
        if codecs_changed:
            self.series.mark_codecs(self._codecs())
        self._update_hold()

    def media_changed(self, leg: Leg, *, codec: bool) -> None:
        """Note in the journal that a leg sounds otherwise, and nobody said why."""
        if self._legs is not None and leg in self._legs:
            self.series.mark_changed(self._legs.index(leg), codec=codec)

    def _update_hold(self) -> None:
        """While a party is held nothing is journalled, and the timeline says so."""
        if self.series.open is None or self._legs is None:
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

    def resume(self, command: ResumeRecording) -> None:
        """Keep again what is said."""
        self._paused = None
        self._go_on("pause-end", command.by, command.reason)

    def _suspend(self, kind: str, by: str = "", reason: str = "") -> None:
        """Begin a span of which nothing is kept, unless another one is on."""
        at_ns = monotonic_ns()
        if self.series.open is not None and not self._suspended:
            self.series.tap(self._media_ids(), at_ns, on=False)
            self.series.recorded.end(at_ns)
        self._mark(kind, at_ns, by, reason)

    def _go_on(self, kind: str, by: str = "", reason: str = "") -> None:
        """End such a span; what is said is kept unless another one is on."""
        at_ns = monotonic_ns()
        self._mark(kind, at_ns, by, reason)
        if self.series.open is not None and not self._suspended:
            self.series.tap(self._media_ids(), at_ns, on=True)
            self.series.recorded.begin(at_ns)

    @property
    def _suspended(self) -> bool:
        return self.held or self._paused is not None

    def _mark(self, kind: str, at_ns: int, by: str, reason: str) -> None:
        self.series.mark(
            SegmentMark(at_monotonic_ns=at_ns, kind=kind, by=by, reason=reason)
        )

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
