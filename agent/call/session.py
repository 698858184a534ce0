"""The life of one call as a state machine: sans-IO.

A call is a set of legs. The first leg, `a`, is whoever rang; `b1`, `b2`, … are those
the agent rings. A plan names the steps that come before talking; after every event
the next step not yet done is taken. What one event means in a phase stands in
TRANSITIONS; what is not there changes nothing, because late events of legs that are
already cleared are the rule, not the exception.

Inputs are methods, outputs are the commands of `agent.call.commands`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final

from agent.call import commands as out
from agent.call.commands import Command
from agent.call.routing import Plan, Step
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import NoticeEvidence

FIRST: Final = "a"
"The leg of the party that rang."


class Phase(Enum):
    """Where a call stands."""

    OFFERED = auto()
    ANSWERING = auto()
    "The first party has our 2xx; its ACK is awaited."
    ANNOUNCING = auto()
    CONNECTING = auto()
    TALKING = auto()
    CLEARING = auto()
    "Nobody answered: the first party hears the busy tone."
    ENDED = auto()


class Input(Enum):
    """What can happen to a call."""

    BEGIN = auto()
    ACKNOWLEDGED = auto()
    NOTICE_PLAYED = auto()
    NOTICE_FAILED = auto()
    TARGET_RINGING = auto()
    TARGET_ANSWERED = auto()
    TARGET_REFUSED = auto()
    TIMER = auto()
    FIRST_LEFT = auto()
    PARTNER_LEFT = auto()
    RECORDING_FAILED = auto()
    MEDIA_TIMEOUT = auto()
    STOP = auto()


# What is not in this table changes nothing. scripts/draw-states reads it: the names
# are those of CallSession's private methods, without the underscore.
TRANSITIONS: Final[Mapping[tuple[Phase, Input], str]] = {
    (Phase.OFFERED, Input.BEGIN): "advance",
    (Phase.OFFERED, Input.FIRST_LEFT): "abandon",
    (Phase.OFFERED, Input.STOP): "stop",
    (Phase.ANSWERING, Input.ACKNOWLEDGED): "answered",
    (Phase.ANSWERING, Input.FIRST_LEFT): "abandon",
    (Phase.ANSWERING, Input.PARTNER_LEFT): "partner_left_early",
    (Phase.ANSWERING, Input.STOP): "stop",
    (Phase.ANNOUNCING, Input.NOTICE_PLAYED): "notice_played",
    (Phase.ANNOUNCING, Input.NOTICE_FAILED): "notice_failed",
    (Phase.ANNOUNCING, Input.FIRST_LEFT): "abandon",
    (Phase.ANNOUNCING, Input.PARTNER_LEFT): "partner_left_early",
    (Phase.ANNOUNCING, Input.TIMER): "notice_stalled",
    (Phase.ANNOUNCING, Input.STOP): "stop",
    (Phase.CONNECTING, Input.TARGET_RINGING): "target_ringing",
    (Phase.CONNECTING, Input.TARGET_ANSWERED): "target_answered",
    (Phase.CONNECTING, Input.TARGET_REFUSED): "target_refused",
    (Phase.CONNECTING, Input.TIMER): "ring_timeout",
    (Phase.CONNECTING, Input.FIRST_LEFT): "abandon",
    (Phase.CONNECTING, Input.STOP): "stop",
    (Phase.TALKING, Input.FIRST_LEFT): "first_hung_up",
    (Phase.TALKING, Input.PARTNER_LEFT): "partner_hung_up",
    (Phase.TALKING, Input.TIMER): "segment_full",
    (Phase.TALKING, Input.RECORDING_FAILED): "recording_failed",
    (Phase.TALKING, Input.MEDIA_TIMEOUT): "media_timeout",
    (Phase.TALKING, Input.STOP): "stop",
    (Phase.CLEARING, Input.TIMER): "cleared",
    (Phase.CLEARING, Input.FIRST_LEFT): "cleared",
    (Phase.CLEARING, Input.STOP): "cleared",
}

NOTICE_LIMIT: Final = 300.0
"Seconds for one notice, of two minutes at most, with a hold in between."

NORMAL_CLEARING: Final = 16
USER_BUSY: Final = 17
NO_ANSWER: Final = 19
RECOVERY_ON_TIMER: Final = 102
NETWORK_OUT_OF_ORDER: Final = 38
"Q.850 causes, for the Reason header (RFC 3326)."


class CallSession:
    """One call, from the offer to its one outcome."""

    def __init__(
        self, plan: Plan, *, can_record: bool, max_segment: float = 7200.0
    ) -> None:
        self._plan = plan
        self._recorded = not plan.exempt
        self._can_record = can_record
        self._max_segment = max_segment
        self._commands: deque[Command] = deque()
        self._done: set[Step] = set()
        self._timer: float | None = None
        self._targets = list(plan.targets)
        self._targets_tried = 0
        self._last_refusal = 480
        self._notices: tuple[str, ...] = ()
        self._evidence: list[NoticeEvidence] = []
        self._segment = 0
        self._capturing = False
        self._failures = 0
        self._early_media = False
        self._cause: EndCause | None = None
        self._reason = ""
        self._kept = False
        self.phase = Phase.OFFERED
        self.partner = ""
        "The leg that is rung, or talks with the first; empty if there is none."
        self.outcome: Outcome | None = None

    # -- inputs ---------------------------------------------------------------

    def begin(self, notices: tuple[str, ...], now: float) -> None:
        """The intent is durable; `notices` name the sounds to be played, in order."""
        self._notices = notices
        if self._recorded and not self._can_record:
            if self._plan.route.on_recording_failure == "refuse":
                self.refuse_unrecordable()
                return
            self._go_unrecorded("the spool cannot take a recording")
        self._input(Input.BEGIN, now)

    def refuse_unrecordable(self) -> None:
        """Policy: better no call than one that cannot be recorded."""
        if self.phase is Phase.OFFERED:
            self._emit(out.Refuse(status=503, reason="Recording Unavailable"))
            self._end(Outcome.BLOCKED, EndCause.RECORDING_FAILED)

    def acknowledged(self, now: float) -> None:
        """The first party's ACK for our 2xx has come."""
        self._input(Input.ACKNOWLEDGED, now)

    def notice_played(self, evidence: NoticeEvidence, now: float) -> None:
        """One notice has been sent, the last frame included."""
        if self.phase is Phase.ANNOUNCING:
            self._evidence.append(evidence)
        self._input(Input.NOTICE_PLAYED, now)

    def notice_failed(self, now: float) -> None:
        """A notice could not be played to its end."""
        self._input(Input.NOTICE_FAILED, now)

    def target_ringing(self, leg: str, now: float, *, early_media: bool) -> None:
        """The leg that is rung sent a provisional response."""
        if leg == self.partner:
            self._early_media = early_media
            self._input(Input.TARGET_RINGING, now)

    def target_answered(self, leg: str, now: float) -> None:
        """The leg that is rung answered, with audio we can use."""
        if leg == self.partner:
            self._input(Input.TARGET_ANSWERED, now)

    def target_refused(self, leg: str, status: int, now: float) -> None:
        """The leg that is rung refused, failed, or answered without usable audio."""
        if leg == self.partner and self.phase is Phase.CONNECTING:
            self._last_refusal = status
            self._input(Input.TARGET_REFUSED, now)

    def left(self, leg: str, now: float, *, cause: EndCause | None = None) -> None:
        """A leg is gone: BYE, CANCEL, a missing ACK; `cause` if not a hang-up."""
        self._cause = cause
        if leg == FIRST:
            self._input(Input.FIRST_LEFT, now)
        elif leg == self.partner:
            self._input(Input.PARTNER_LEFT, now)

    def unacceptable(self, status: int, reason: str) -> None:
        """The first party's offer cannot be answered."""
        if self.phase in {Phase.OFFERED, Phase.ANSWERING}:
            self._emit(out.Refuse(status=status, reason=reason))
            if self.partner:
                self._emit(out.HangUp(leg=self.partner, q850=NORMAL_CLEARING))
            self._end(Outcome.REJECTED, EndCause.ERROR, status)

    def recording_failed(self, reason: str, now: float, *, kept: bool) -> None:
        """Capture failed; `kept` says whether some of it is in a journal."""
        self._reason = reason
        self._kept = self._kept or kept or self._segment > 1
        self._input(Input.RECORDING_FAILED, now)

    def media_timeout(self, now: float) -> None:
        """Both legs have been silent for the configured time."""
        self._input(Input.MEDIA_TIMEOUT, now)

    def stop(self, now: float) -> None:
        """The agent must clear the call."""
        self._input(Input.STOP, now)

    def handle_timer(self, now: float) -> None:
        """Act on the deadline of `get_timer`, if it is due."""
        if self._timer is not None and now >= self._timer:
            self._timer = None
            self._input(Input.TIMER, now)

    # -- outputs --------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        return self._timer

    def next_command(self) -> Command | None:
        """What is to be done next, oldest first."""
        return self._commands.popleft() if self._commands else None

    # -- the machine ----------------------------------------------------------

    def _input(self, input_: Input, now: float) -> None:
        action = TRANSITIONS.get((self.phase, input_))
        if action is not None:
            perform: Callable[[float], None] = getattr(self, f"_{action}")
            perform(now)

    def _advance(self, now: float) -> None:
        """Take the plan's next step, or talk when all are done."""
        step = next((s for s in self._plan.steps if s not in self._done), None)
        match step:
            case Step.ANSWER:
                self.phase = Phase.ANSWERING
                self._emit(out.Answer(leg=FIRST))
            case Step.ANNOUNCE:
                self.phase = Phase.ANNOUNCING
                self._play_next_notice(now)
            case Step.CONNECT:
                self.phase = Phase.CONNECTING
                if self._first_is_answered and self._plan.route.ringback:
                    self._emit(out.Play(legs=(FIRST,), sound="ringback", loop=True))
                self._ring_next(now)
            case _:
                self._talk(now)

    def _answered(self, now: float) -> None:
        self._done.add(Step.ANSWER)
        self._advance(now)

    def _play_next_notice(self, now: float) -> None:
        index = len(self._evidence)
        if not self._recorded or index == len(self._notices) > 0:
            self._done.add(Step.ANNOUNCE)
            self._advance(now)
        elif not self._notices:
            self._notice_failed(now)
        else:
            legs = (FIRST, self.partner) if self.partner else (FIRST,)
            self._timer = now + NOTICE_LIMIT
            self._emit(out.Play(legs=legs, sound=self._notices[index], notice=True))

    def _notice_played(self, now: float) -> None:
        self._timer = None
        self._play_next_notice(now)

    def _notice_stalled(self, now: float) -> None:
        # A party on hold is sent nothing; one that never comes back would keep the
        # call, its ports and its open ledger row for ever.
        self._hang_up_all(RECOVERY_ON_TIMER)
        self._end(Outcome.FAILED, EndCause.MEDIA_TIMEOUT)

    def _notice_failed(self, now: float) -> None:
        self._timer = None
        if self._plan.route.on_notice_failure == "refuse":
            self._hang_up_all(NETWORK_OUT_OF_ORDER)
            self._end(Outcome.BLOCKED, EndCause.ERROR)
            return
        # Never record unannounced.
        self._go_unrecorded("the notice could not be played")
        self._done.add(Step.ANNOUNCE)
        self._advance(now)

    def _ring_next(self, now: float) -> None:
        if not self._targets:
            self._nobody_answered(now)
            return
        target = self._targets.pop(0)
        self._targets_tried += 1
        self.partner = f"b{self._targets_tried}"
        if not self._plan.emergency:
            # An emergency call waits for its target as long as the caller does.
            self._timer = now + self._plan.route.ring_timeout
        self._emit(out.Invite(leg=self.partner, target=target))

    def _target_ringing(self, now: float) -> None:
        if not self._first_is_answered:
            self._emit(out.Ring(leg=FIRST, early_media=self._early_media))

    def _target_answered(self, now: float) -> None:
        self._timer = None
        self._done.add(Step.CONNECT)
        self._advance(now)

    def _target_refused(self, now: float) -> None:
        self._timer = None
        self._ring_next(now)

    def _ring_timeout(self, now: float) -> None:
        self._emit(out.HangUp(leg=self.partner, q850=NO_ANSWER))
        self._last_refusal = 480
        self._ring_next(now)

    def _nobody_answered(self, now: float) -> None:
        self.partner = ""
        if not self._first_is_answered:
            self._emit(out.Refuse(status=self._last_refusal, reason=None))
            self._end(Outcome.UNANSWERED, None, self._last_refusal)
            return
        self.phase = Phase.CLEARING
        self._timer = now + self._plan.route.busy_tone
        self._emit(out.Play(legs=(FIRST,), sound="busy", loop=True))

    def _cleared(self, now: float) -> None:
        busy = self._last_refusal in {486, 600}
        self._emit(out.HangUp(leg=FIRST, q850=USER_BUSY if busy else NO_ANSWER))
        self._end(Outcome.UNANSWERED, None, self._last_refusal)

    def _talk(self, now: float) -> None:
        self.phase = Phase.TALKING
        self._emit(out.Bridge(a=FIRST, b=self.partner))
        if self._recorded:
            self._open_segment(now)

    def _open_segment(self, now: float) -> None:
        self._segment += 1
        self._capturing = True
        self._timer = now + self._max_segment
        self._emit(
            out.OpenRecording(
                segment=self._segment,
                customer=self.customer,
                officer=self.officer,
                notices=tuple(self._evidence),
            )
        )

    def _segment_full(self, now: float) -> None:
        self._emit(out.CloseRecording(cause=EndCause.SEGMENT_LIMIT))
        self._open_segment(now)

    def _first_hung_up(self, now: float) -> None:
        inbound = self._plan.direction is CallDirection.INBOUND
        hangup = EndCause.CALLER_HANGUP if inbound else EndCause.OFFICER_HANGUP
        self._finish(self._cause or hangup, NORMAL_CLEARING)

    def _partner_hung_up(self, now: float) -> None:
        inbound = self._plan.direction is CallDirection.INBOUND
        hangup = EndCause.OFFICER_HANGUP if inbound else EndCause.CUSTOMER_HANGUP
        self._finish(self._cause or hangup, NORMAL_CLEARING)

    def _media_timeout(self, now: float) -> None:
        self._finish(EndCause.MEDIA_TIMEOUT, RECOVERY_ON_TIMER)

    def _recording_failed(self, now: float) -> None:
        if not self._capturing:
            return  # a late word about a segment that is closed
        self._failures += 1
        if self._plan.route.on_recording_failure == "refuse":
            self._finish(EndCause.RECORDING_FAILED, NETWORK_OUT_OF_ORDER)
            return
        self._timer = None
        self._capturing = False
        self._emit(out.CloseRecording(cause=EndCause.RECORDING_FAILED))
        self._go_unrecorded(self._reason)

    def _abandon(self, now: float) -> None:
        if self.partner:
            self._emit(out.HangUp(leg=self.partner, q850=NORMAL_CLEARING))
        outcome = Outcome.FAILED if self._cause else Outcome.ABANDONED
        self._end(outcome, self._cause or EndCause.CALLER_HANGUP)

    def _partner_left_early(self, now: float) -> None:
        # Outbound: the customer hung up before the notice had been played.
        self._hang_up_all(NORMAL_CLEARING)
        self._end(Outcome.ABANDONED, self._cause or EndCause.CUSTOMER_HANGUP)

    def _stop(self, now: float) -> None:
        if self.phase is Phase.TALKING:
            self._finish(EndCause.AGENT_STOPPED, NORMAL_CLEARING)
            return
        self._hang_up_all(NORMAL_CLEARING)
        self._end(Outcome.FAILED, EndCause.AGENT_STOPPED)

    def _finish(self, cause: EndCause, q850: int) -> None:
        """End a call whose parties talked."""
        if self._capturing:
            self._emit(out.CloseRecording(cause=cause))
        self._hang_up_all(q850)
        if self._plan.exempt:
            outcome = Outcome.EXEMPT
        elif self._segment == 0 or (self._failures and not self._kept):
            outcome = Outcome.UNRECORDED
        else:
            outcome = Outcome.PARTIAL if self._failures else Outcome.RECORDED
        self._end(outcome, cause)

    def _hang_up_all(self, q850: int) -> None:
        self._emit(out.HangUp(leg=FIRST, q850=q850))
        if self.partner:
            self._emit(out.HangUp(leg=self.partner, q850=q850))

    def _end(
        self, outcome: Outcome, cause: EndCause | None, sip_status: int | None = None
    ) -> None:
        self.phase = Phase.ENDED
        self._timer = None
        self.outcome = Outcome.EXEMPT if self._plan.exempt else outcome
        self._emit(out.Close(outcome=self.outcome, cause=cause, sip_status=sip_status))

    def _go_unrecorded(self, reason: str) -> None:
        self._recorded = False
        self._emit(out.Alarm(reason=reason))

    def _emit(self, command: Command) -> None:
        self._commands.append(command)

    @property
    def customer(self) -> str:
        """The leg of the party outside the agency."""
        inbound = self._plan.direction is CallDirection.INBOUND
        return FIRST if inbound else self.partner

    @property
    def officer(self) -> str:
        """The leg of the officer."""
        inbound = self._plan.direction is CallDirection.INBOUND
        return self.partner if inbound else FIRST

    @property
    def _first_is_answered(self) -> bool:
        return Step.ANSWER in self._done
