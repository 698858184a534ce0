"""The life of one call as a state machine: sans-IO.

A call is a set of legs. The first leg, `a`, is whoever rang; `b1`, `b2`, … are those
the agent rings. A plan names the steps that come before talking; after every event
the next step not yet done is taken. What one event means in a phase stands in
`agent.call.phases`; what is not there changes nothing, because late events of legs
that are already cleared are the rule, not the exception.

Inputs are methods, outputs are the commands of `agent.call.commands`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from agent.call import commands as out, refusal
from agent.call.commands import Command
from agent.call.conversation import (
    NETWORK_OUT_OF_ORDER,
    NORMAL_CLEARING,
    RECOVERY_ON_TIMER,
    Conversation,
)
from agent.call.hunt import Hunt
from agent.call.notices import NOTICE_LIMIT, Notices
from agent.call.phases import TRANSITIONS, Input, Phase
from agent.call.routing import INBOUND_STEPS, Plan, Step
from agent.call.segments import Segments
from agent.call.state import SessionState
from agent.common.weakly import weakly
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import NoticeEvidence, RecordState

FIRST: Final = "a"
"The leg of the party that rang."


class LegNames(Iterator[str]):
    """Names of the other legs of one call, `b1` and so on."""

    given = 0
    "How many there are."

    def __next__(self) -> str:
        self.given += 1
        return f"b{self.given}"


class CallSession:
    """One call, from the offer to its one outcome."""

    def __init__(
        self, plan: Plan, *, can_record: bool, max_segment: float = 7200.0
    ) -> None:
        self._plan = plan
        self._can_record = can_record
        self._commands: deque[Command] = deque()
        self._emit = self._commands.append
        self._steps = plan.steps
        self._done: set[Step] = set()
        self._early = False
        "Whether the first party hears us without having been answered."
        self._deadline: float | None = None
        self._names = LegNames()
        self._hunt = Hunt(
            plan.rounds,
            names=self._names,
            # An emergency call waits for its target as long as the caller does.
            ring_timeout=None if plan.emergency else plan.route.ring_timeout,
            emit=self._emit,
            exhausted=weakly(self._nobody_answered),
        )
        self._notices = Notices(())
        self._segments = Segments(
            self._emit,
            wanted=not plan.exempt,
            max_length=max_segment,
            max_pause=plan.route.max_pause,
        )
        self.conversation: Conversation | None = None
        "What happens once two parties talk."
        self._rang = False
        self._subject = ""
        "The leg an input is about."
        self._officer_answered = True
        self._cause: EndCause | None = None
        self.phase = Phase.OFFERED
        self.partner = ""
        "The leg that has answered the first; empty until one has."
        self.outcome: Outcome | None = None

    @property
    def state(self) -> SessionState | None:
        """All of it while two talk, for `restore` in another process; else None."""
        talk = self.conversation
        if talk is None or self.outcome is not None:
            return None
        return SessionState(
            partner=self.partner,
            legs_named=self._names.given,
            notices=self._notices.state,
            segments=self._segments.state,
            conversation=talk.kept,
        )

    def restore(self, state: SessionState) -> None:
        """Go on where another one stood."""
        self.phase = Phase.TALKING
        self.partner = state.partner
        self._names.given = state.legs_named
        self._notices = Notices.restore(state.notices)
        self._segments.restore(state.segments)
        kept = state.conversation
        self.conversation = self._converse(
            kept.talkers, officers=kept.officers, announced=kept.announced
        )
        self.conversation.restore(kept)

    # -- inputs ---------------------------------------------------------------

    def begin(self, notices: tuple[str, ...], now: float) -> None:
        """The intent is durable; `notices` name the sounds to be played, in order."""
        self._notices = Notices(notices)
        if self._segments.wanted and not self._can_record:
            if self._plan.route.on_recording_failure == "refuse":
                self.refuse_unrecordable()
                return
            self._segments.forbid("the spool cannot take a recording")
        self._input(Input.BEGIN, now)

    def refuse_unrecordable(self) -> None:
        """Policy: better no call than one that cannot be recorded."""
        if self.phase is Phase.OFFERED:
            self._emit(out.Refuse(status=503, reason="Recording Unavailable"))
            self._end(Outcome.BLOCKED, EndCause.RECORDING_FAILED)

    def acknowledged(self, now: float) -> None:
        """The first party's ACK for our 2xx has come."""
        self._input(Input.ACKNOWLEDGED, now)

    def early_opened(self, now: float) -> None:
        """The first party hears us, without having been answered."""
        self._input(Input.EARLY_OPENED, now)

    def early_unavailable(self, now: float) -> None:
        """It cannot hear us before it is answered."""
        self._input(Input.EARLY_UNAVAILABLE, now)

    def notice_played(self, evidence: NoticeEvidence, now: float) -> None:
        """One notice has been sent, the last frame included."""
        if self.conversation is not None:
            self.conversation.notice_played(evidence, now)
            return
        if self.phase is Phase.ANNOUNCING:
            self._notices.note_played(evidence)
        self._input(Input.NOTICE_PLAYED, now)

    def notice_failed(self, now: float) -> None:
        """A notice could not be played to its end."""
        if self.conversation is not None:
            self.conversation.notice_failed(now)
        else:
            self._input(Input.NOTICE_FAILED, now)

    def target_ringing(self, leg: str, now: float, *, early_media: bool) -> None:
        """A leg that is rung sent a provisional response."""
        if self.conversation is not None:
            self.conversation.target_ringing(leg, now)
        elif self.rings(leg):
            self._subject = leg if early_media else ""
            self._input(Input.TARGET_RINGING, now)

    def target_answered(self, leg: str, now: float, *, officer: bool = True) -> None:
        """A leg that is rung answered, with audio we can use.

        `officer` says of an inbound call whether an officer did, or a queue.
        """
        if self.conversation is not None:
            self.conversation.target_answered(leg, now)
        elif self.rings(leg):
            self._subject = leg
            self._officer_answered = officer
            self._input(Input.TARGET_ANSWERED, now)

    def target_refused(self, leg: str, status: int, now: float) -> None:
        """A leg that is rung refused, failed, or answered without usable audio."""
        self._running_hunt.refused(leg, status, now)

    def target_redirected(self, leg: str, targets: Iterable[str], now: float) -> None:
        """A leg that is rung names others, which may be rung, the best first."""
        self._running_hunt.redirected(leg, targets, now)

    def picked_up(self, leg: str, newcomer: str, now: float) -> None:
        """Another leg, which has been answered, takes the place of one that rings."""
        if self.rings(leg):
            self._running_hunt.picked_up(newcomer)
            self.target_answered(newcomer, now)

    def left(self, leg: str, now: float, *, cause: EndCause | None = None) -> None:
        """A leg is gone: BYE, CANCEL, a missing ACK; `cause` if not a hang-up."""
        self._cause = cause
        if self.conversation is not None:
            self.conversation.left(leg, now, cause=cause)
        elif leg == FIRST:
            self._input(Input.FIRST_LEFT, now)
        elif leg == self.partner:
            self._input(Input.PARTNER_LEFT, now)

    def unacceptable(self, status: int, reason: str) -> None:
        """The first party's offer cannot be answered."""
        if self.phase in {Phase.OFFERED, Phase.ANSWERING, Phase.OPENING}:
            self._emit(out.Refuse(status=status, reason=reason))
            if self.partner:
                self._emit(out.HangUp(leg=self.partner, q850=NORMAL_CLEARING))
            self._end(Outcome.REJECTED, EndCause.ERROR, status)

    def recording_failed(self, reason: str, now: float, *, kept: bool) -> None:
        """Capture failed; `kept` says whether some of it is in a journal."""
        if self.conversation is not None:
            self.conversation.recording_failed(reason, now, kept=kept)

    def pause(self, *, by: str, reason: str, seconds: float | None, now: float) -> None:
        """Record nothing for a while, of no segment; again: for longer.

        `seconds` from now, and as long as the route allows without them. Raises
        PauseError.
        """
        self._segments.suspend(by=by, reason=reason, seconds=seconds, now=now)

    def resume(self, *, by: str, reason: str) -> None:
        """Record again, before the pause is over by itself. Raises PauseError."""
        self._segments.pause.end(by=by, reason=reason)

    def media_timeout(self, now: float) -> None:
        """All legs have been silent for the configured time."""
        if self.conversation is not None:
            self.conversation.media_timeout(now)

    def stop(self, now: float) -> None:
        """The agent must clear the call."""
        if self.conversation is not None:
            self.conversation.stop(now)
        else:
            self._input(Input.STOP, now)

    def handle_timer(self, now: float) -> None:
        """Act on the deadline of `get_timer`, if it is due."""
        if self.conversation is not None:
            self.conversation.handle_timer(now)
            return
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._input(Input.TIMER, now)
        self._hunt.handle_timer(now)

    # -- outputs --------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        if self.conversation is not None:
            return self.conversation.get_timer()
        return self._deadline if self._deadline is not None else self._hunt.deadline

    def next_command(self) -> Command | None:
        """What is to be done next, oldest first."""
        return self._commands.popleft() if self._commands else None

    def new_name(self) -> str:
        """A name for a leg that comes into the call by itself."""
        return next(self._names)

    @property
    def recording(self) -> RecordState:
        """Whether the call is being recorded now."""
        if not self._segments.is_open:
            return RecordState.OFF
        paused = self._segments.pause.order is not None
        return RecordState.PAUSED if paused else RecordState.ON

    @property
    def pause_span(self) -> tuple[float, float] | None:
        """When a pause began and will be over by itself; None if none is on."""
        pause = self._segments.pause
        return None if pause.deadline is None else (pause.since, pause.deadline)

    @property
    def exempt(self) -> bool:
        """Whether it may never be recorded."""
        return self._plan.exempt

    def rings(self, leg: str) -> bool:
        """Whether a leg is wanted, and has no final response yet."""
        return leg in self._running_hunt.ringing

    @property
    def ringing(self) -> frozenset[str]:
        """Every leg of which that is true."""
        return frozenset(self._running_hunt.ringing)

    @property
    def hunts(self) -> bool:
        """Whether targets are rung for the first party, and none has answered."""
        return self.conversation is None and bool(self._hunt.ringing)

    def rings_alone(self, leg: str) -> bool:
        """Likewise, and no other: only then can the first party hear it already."""
        return self.conversation is None and self._hunt.ringing == {leg}

    # -- the machine ----------------------------------------------------------

    def _input(self, input_: Input, now: float) -> None:
        action = TRANSITIONS.get((self.phase, input_))
        if action is not None:
            perform: Callable[[float], None] = getattr(self, f"_{action}")
            perform(now)

    def _advance(self, now: float) -> None:
        """Take the plan's next step, or talk when all are done."""
        step = next((s for s in self._steps if s not in self._done), None)
        match step:
            case Step.ANSWER:
                self.phase = Phase.ANSWERING
                self._emit(out.Answer(leg=FIRST))
            case Step.ANNOUNCE if not self._first_is_answered and self._must_announce:
                self.phase = Phase.OPENING
                self._emit(out.OpenEarly(leg=FIRST))
            case Step.ANNOUNCE:
                self._announce(now)
            case Step.CONNECT:
                self.phase = Phase.CONNECTING
                if self._hears_ringback:
                    self._emit(out.Play(legs=(FIRST,), sound="ringback", loop=True))
                self._hunt.begin(now)
            case _:
                self._talk(now)

    def _answered(self, now: float) -> None:
        self._done.add(Step.ANSWER)
        self._advance(now)

    def _announce(self, now: float) -> None:
        self._early = not self._first_is_answered and self._must_announce
        self.phase = Phase.ANNOUNCING
        self._play_next_notice(now)

    def _answer_instead(self, now: float) -> None:
        """The first party's path has no early media: it is answered first."""
        self._steps = INBOUND_STEPS
        self._advance(now)

    def _play_next_notice(self, now: float) -> None:
        if not self._segments.wanted or self._notices.finished:
            self._done.add(Step.ANNOUNCE)
            self._advance(now)
        elif self._notices.missing:
            self._notice_failed(now)
        else:
            self._deadline = now + NOTICE_LIMIT
            self._emit(self._notices.play_next(self._present))

    def _notice_played(self, now: float) -> None:
        self._deadline = None
        self._play_next_notice(now)

    def _notice_stalled(self, now: float) -> None:
        # A party on hold is sent nothing; one that never comes back would keep the
        # call, its ports and its open ledger row for ever.
        self._dismiss(RECOVERY_ON_TIMER)
        self._end(Outcome.FAILED, EndCause.MEDIA_TIMEOUT)

    def _notice_failed(self, now: float) -> None:
        self._deadline = None
        if self._plan.route.on_notice_failure == "refuse":
            self._dismiss(NETWORK_OUT_OF_ORDER)
            self._end(Outcome.BLOCKED, EndCause.ERROR)
            return
        # Never record unannounced.
        self._segments.forbid("the notice could not be played")
        self._done.add(Step.ANNOUNCE)
        self._advance(now)

    def _target_ringing(self, now: float) -> None:
        # Of several that ring together the caller hears once.
        again = self._rang and len(self._hunt.ringing) > 1
        if not (self._first_is_answered or again or self._hears_ringback):
            heard = "" if self._early else self._subject
            self._rang = True
            self._emit(out.Ring(leg=FIRST, heard=heard))

    def _target_answered(self, now: float) -> None:
        self.partner = self._subject
        self._hunt.answered(self.partner)
        self._done.add(Step.CONNECT)
        self._advance(now)

    def _nobody_answered(self, now: float) -> None:
        status = self._hunt.status
        if not self._first_is_answered:
            self._emit(out.Refuse(status=status, reason=None))
            self._end(Outcome.UNANSWERED, None, status)
            return
        self.phase = Phase.CLEARING
        self._deadline = now + self._plan.route.busy_tone
        tone = refusal.tone(status)
        self._emit(out.Play(legs=(FIRST,), sound=tone, loop=True))

    def _cleared(self, now: float) -> None:
        status = self._hunt.status
        self._emit(out.HangUp(leg=FIRST, q850=refusal.cause(status)))
        self._end(Outcome.UNANSWERED, None, status)

    def _talk(self, now: float) -> None:
        self.phase = Phase.TALKING
        inbound = self._plan.direction is CallDirection.INBOUND
        officers = {FIRST}
        if inbound:
            officers = {self.partner} if self._officer_answered else set()
        self.conversation = self._converse(
            (FIRST, self.partner),
            officers=officers,
            announced=self._have_heard(inbound=inbound),
        )
        self.conversation.begin(now)

    def _converse(
        self,
        talkers: tuple[str, ...],
        *,
        officers: Iterable[str],
        announced: Iterable[str],
    ) -> Conversation:
        return Conversation(
            self._emit,
            route=self._plan.route,
            direction=self._plan.direction,
            talkers=talkers,
            officers=officers,
            announced=announced,
            segments=self._segments,
            notices=self._notices,
            names=self._names,
            over=weakly(self._talk_over),
        )

    def _talk_over(self, cause: EndCause) -> None:
        self._end(self._segments.outcome, cause)

    def _have_heard(self, *, inbound: bool) -> set[str]:
        """Who has heard all notices: nobody where there was to be no recording."""
        if not self._notices.finished:
            return set()
        return {FIRST} if inbound else {FIRST, self.partner}

    def _abandon(self, now: float) -> None:
        self._hunt.give_up()
        if self.partner:
            self._emit(out.HangUp(leg=self.partner, q850=NORMAL_CLEARING))
        outcome = Outcome.FAILED if self._cause else Outcome.ABANDONED
        self._end(outcome, self._cause or EndCause.CALLER_HANGUP)

    def _partner_left_early(self, now: float) -> None:
        # Outbound: the customer hung up before the notice had been played.
        self._hang_up_all(NORMAL_CLEARING)
        self._end(Outcome.ABANDONED, self._cause or EndCause.CUSTOMER_HANGUP)

    def _stopped(self, now: float) -> None:
        self._hang_up_all(NORMAL_CLEARING)
        self._end(Outcome.FAILED, EndCause.AGENT_STOPPED)

    def _dismiss(self, q850: int) -> None:
        """Clear the call for want of a notice."""
        if self._first_is_answered:
            self._hang_up_all(q850)
        else:
            self._emit(out.Refuse(status=503, reason="Notice Unavailable"))

    def _hang_up_all(self, q850: int) -> None:
        for leg in self._present:
            self._emit(out.HangUp(leg=leg, q850=q850))
        self._hunt.give_up(q850)

    def _end(
        self, outcome: Outcome, cause: EndCause | None, sip_status: int | None = None
    ) -> None:
        self.phase = Phase.ENDED
        self._deadline = None
        self.outcome = Outcome.EXEMPT if self._plan.exempt else outcome
        self._emit(out.Close(outcome=self.outcome, cause=cause, sip_status=sip_status))

    @property
    def _running_hunt(self) -> Hunt:
        """For the first party, or for the target of a transfer."""
        return self._hunt if self.conversation is None else self.conversation.hunt

    @property
    def _present(self) -> tuple[str, ...]:
        return (FIRST, self.partner) if self.partner else (FIRST,)

    @property
    def _must_announce(self) -> bool:
        return self._segments.wanted and not self._notices.missing

    @property
    def _hears_ringback(self) -> bool:
        return (self._first_is_answered or self._early) and self._plan.route.ringback

    @property
    def _first_is_answered(self) -> bool:
        return Step.ANSWER in self._done
