"""The recording side of one call: who is in a segment, what is held, what it means."""

import functools

import structlog

from agent.call.commands import OpenRecording
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.recorder import OpenSegment
from agent.call.routing import Plan
from agent.common.clock import monotonic_ns, utc_ns
from agent.common.ids import new_id
from agent.formats.age import AgeError, Recipient, parse_recipient
from agent.identity.numbers import normalise
from agent.media.pool import PlayEnded
from agent.media.sound import Sound
from agent.model.call import EndCause
from agent.model.media import Direction
from agent.model.recording import NoticeEvidence, Officer, SegmentBegin


class Capture:
    """The segments of one call: at most one open, one group."""

    def __init__(self, joint: Joint, *, call_id: str, plan: Plan, called: str) -> None:
        self._joint = joint
        self._call_id = call_id
        self._plan = plan
        self._called = called
        self._group = new_id()
        self._log = structlog.get_logger().bind(call_id=call_id)
        self._open: OpenSegment | None = None
        self._legs: tuple[Leg, Leg] | None = None
        self.held = False
        self.segments: list[OpenSegment] = []

    def open(self, command: OpenRecording, customer: Leg, officer: Leg) -> None:
        """Begin a segment now."""
        person, recipient = self._officer(officer)
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
            started_at=utc_ns(),
            started_monotonic_ns=monotonic_ns(),
            codecs=self._codecs(),
            agent=self._joint.software,
            host=self._joint.host,
        )
        self._open = self._joint.recorder.open(
            self._call_id, begin, legs=self._media_ids(), officer=recipient
        )
        self.segments.append(self._open)
        self._log.info("recording_begun", recording_id=begin.recording_id)
        self._update_hold()

    def close(self, cause: EndCause) -> None:
        """End the open segment, if one is."""
        if self._open is not None:
            self._joint.recorder.close(self._open, cause)
            self._open = None
            self.held = False

    def agreed(self, *, codecs_changed: bool) -> None:
        """An offer/answer exchange of either leg is complete."""
        if self._open is None:
            return
        if codecs_changed:
            self._joint.recorder.note_codecs(self._open, self._codecs())
        self._update_hold()

    def media_changed(self, leg: Leg, *, codec: bool) -> None:
        """Note in the journal that a leg sounds otherwise, and nobody said why."""
        if self._open is not None and self._legs is not None and leg in self._legs:
            self._joint.recorder.note_change(
                self._open, self._legs.index(leg), "codec" if codec else "source"
            )

    @property
    def interrupted(self) -> bool:
        """Whether capture of any segment broke, for however short a time."""
        return any(segment.gap for segment in self.segments)

    def _update_hold(self) -> None:
        """While a party is held nothing is journalled, and the timeline says so."""
        if self._open is None or self._legs is None:
            return
        held = any(leg.asked is not Direction.SENDRECV for leg in self._legs)
        if held != self.held:
            self.held = held
            self._joint.recorder.hold(self._open, self._media_ids(), on=held)
            self._log.info("held" if held else "resumed")

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

    def _officer(self, leg: Leg) -> tuple[Officer, Recipient | None]:
        """Who the officer on a leg is, and the key that may open the segment."""
        number = leg.number
        shown = self._joint.mask(number)
        entry = self._joint.directory().lookup(number)
        if entry is None:
            self._log.warning("officer_unknown", number=shown)
            return Officer(number=number, name=""), None
        officer = Officer(number=entry.number, name=entry.name)
        if not entry.recipient:
            self._log.warning("officer_without_key", number=shown)
            return officer, None
        recipient = _recipient(entry.recipient)
        if recipient is None or recipient.kind is not self._joint.recorder.kind:
            self._log.error("officer_key_unusable", number=shown)
            return officer, None
        return officer, recipient


@functools.lru_cache(maxsize=4096)
def _recipient(text: str) -> Recipient | None:
    """A directory's key, parsed once: a post-quantum one takes a millisecond."""
    try:
        return parse_recipient(text)
    except AgeError:
        return None


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
