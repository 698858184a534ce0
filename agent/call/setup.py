"""A call from the offer until two parties talk: sans-IO.

A plan names the steps that come before talking; after every event the next step not
yet done is taken. What one event means in a phase stands in `agent.call.phases`; what
is not there changes nothing, because late events of legs that are already cleared are
the rule, not the exception.

Inputs are methods, outputs are the commands of `agent.call.commands`.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from agent.call import commands as out, refusal
from agent.call.commands import Command
from agent.call.hunt import Hunt
from agent.call.leg_names import FIRST
from agent.call.notices import NOTICE_LIMIT, Notices
from agent.call.phases import TRANSITIONS, Input, Phase
from agent.call.release_causes import (
    NETWORK_OUT_OF_ORDER,
    NORMAL_CLEARING,
    RECOVERY_ON_TIMER,
)
from agent.call.routing import INBOUND_STEPS, Plan, Step
from agent.call.segments import Segments
from agent.common.weakly import weakly
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import NoticeEvidence


class Over(Protocol):
    """Hears once that nobody will talk, and why; `sip_status`, what it was told."""

    def __call__(
        self, outcome: Outcome, cause: EndCause | None, sip_status: int | None
    ) -> None: ...


class Setup:
    """The part of a call before people talk.

    `complete(now)` is called once when they may; `over`, if they never will.
    """

    def __init__(
        self,
        emit: Callable[[Command], None],
        *,
        plan: Plan,
        can_record: bool,
        segments: Segments,
        names: Iterator[str],
        complete: Callable[[float], None],
        over: Over,
    ) -> None:
        self._emit = emit
        self._plan = plan
        self._can_record = can_record
        self._segments = segments
        self._complete = complete
        self._over = over
        self._steps = plan.steps
        self._done: set[Step] = set()
        self._early = False
        "Whether the first party hears us without having been answered."
        self._deadline: float | None = None
        self._rang = False
        self._subject = ""
        "The leg an input is about."
        self._officer_answered = True
        self._cause: EndCause | None = None
        self.hunt = Hunt(
            plan.rounds,
            names=names,
            # An emergency call waits for its target as long as the caller does.
            ring_timeout=None if plan.emergency else plan.route.ring_timeout,
            emit=emit,
            exhausted=weakly(self._nobody_answered),
        )
        "For the first party."
        self.notices = Notices(())
        self.phase = Phase.OFFERED
        self.partner = ""
        "The leg that has answered the first; empty until one has."

    def restore(self, partner: str, notices: Notices) -> None:
        """It was completed in another process."""
        self.phase = Phase.TALKING
        self.partner = partner
        self.notices = notices

    # -- what became of it ------------------------------------------------------

    @property
    def officers(self) -> set[str]:
        """Of those who talk now, who are officers."""
        if self._plan.direction is CallDirection.OUTBOUND:
            return {FIRST}
        return {self.partner} if self._officer_answered else set()

    @property
    def announced(self) -> set[str]:
        """Who has heard all notices: nobody where there was to be no recording."""
        if not self.notices.finished:
            return set()
        inbound = self._plan.direction is CallDirection.INBOUND
        return {FIRST} if inbound else {FIRST, self.partner}

    # -- inputs -----------------------------------------------------------------

    def begin(self, notices: tuple[str, ...], now: float) -> None:
        """The intent is durable; `notices` name the sounds to be played, in order."""
        self.notices = Notices(notices)
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

    def unacceptable(self, status: int, reason: str) -> None:
        """The first party's offer cannot be answered."""
        if self.phase in {Phase.OFFERED, Phase.ANSWERING, Phase.OPENING}:
            self._emit(out.Refuse(status=status, reason=reason))
            if self.partner:
                self._emit(out.HangUp(leg=self.partner, q850=NORMAL_CLEARING))
            self._end(Outcome.REJECTED, EndCause.ERROR, status)

    def notice_played(self, evidence: NoticeEvidence, now: float) -> None:
        """One notice has been sent, the last frame included."""
        if self.phase is Phase.ANNOUNCING:
            self.notices.note_played(evidence)
        self._input(Input.NOTICE_PLAYED, now)

    def notice_failed(self, now: float) -> None:
        """A notice could not be played to its end."""
        self._input(Input.NOTICE_FAILED, now)

    def target_ringing(self, leg: str, now: float, *, early_media: bool) -> None:
        """A leg that is rung sent a provisional response."""
        if self.rings(leg):
            self._subject = leg if early_media else ""
            self._input(Input.TARGET_RINGING, now)

    def target_answered(self, leg: str, now: float, *, officer: bool) -> None:
        """A leg that is rung answered; `officer`: of an inbound call, not a queue."""
        if self.rings(leg):
            self._subject = leg
            self._officer_answered = officer
            self._input(Input.TARGET_ANSWERED, now)

    def rings(self, leg: str) -> bool:
        """Whether a leg is rung for the first party."""
        return leg in self.hunt.ringing

    def left(self, leg: str, now: float, *, cause: EndCause | None = None) -> None:
        """A leg is gone; `cause` if it was not a hang-up."""
        self._cause = cause
        if leg == FIRST:
            self._input(Input.FIRST_LEFT, now)
        elif leg == self.partner:
            self._input(Input.PARTNER_LEFT, now)

    def stop(self, now: float) -> None:
        """The agent must clear the call."""
        self._input(Input.STOP, now)

    def handle_timer(self, now: float) -> None:
        """Act on the deadlines that are due."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._input(Input.TIMER, now)
        self.hunt.handle_timer(now)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        return self._deadline if self._deadline is not None else self.hunt.deadline

    # -- the machine ------------------------------------------------------------

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
                self.hunt.begin(now)
            case _:
                self.phase = Phase.TALKING
                self._complete(now)

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
        if not self._segments.wanted or self.notices.finished:
            self._done.add(Step.ANNOUNCE)
            self._advance(now)
        elif self.notices.missing:
            self._notice_failed(now)
        else:
            self._deadline = now + NOTICE_LIMIT
            self._emit(self.notices.play_next(self._present))

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
        again = self._rang and len(self.hunt.ringing) > 1
        if not (self._first_is_answered or again or self._hears_ringback):
            heard = "" if self._early else self._subject
            self._rang = True
            self._emit(out.Ring(leg=FIRST, heard=heard))

    def _target_answered(self, now: float) -> None:
        self.partner = self._subject
        self.hunt.answered(self.partner)
        self._done.add(Step.CONNECT)
        self._advance(now)

    def _nobody_answered(self, now: float) -> None:
        status = self.hunt.status
        if not self._first_is_answered:
            self._emit(out.Refuse(status=status, reason=None))
            self._end(Outcome.UNANSWERED, None, status)
            return
        self.phase = Phase.CLEARING
        self._deadline = now + self._plan.route.busy_tone
        tone = refusal.tone(status)
        self._emit(out.Play(legs=(FIRST,), sound=tone, loop=True))

    def _cleared(self, now: float) -> None:
        status = self.hunt.status
        self._emit(out.HangUp(leg=FIRST, q850=refusal.cause(status)))
        self._end(Outcome.UNANSWERED, None, status)

    def _abandon(self, now: float) -> None:
        self.hunt.give_up()
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
        self.hunt.give_up(q850)

    def _end(
        self, outcome: Outcome, cause: EndCause | None, sip_status: int | None = None
    ) -> None:
        self.phase = Phase.ENDED
        self._deadline = None
        self._over(outcome, cause, sip_status)

    @property
    def _present(self) -> tuple[str, ...]:
        return (FIRST, self.partner) if self.partner else (FIRST,)

    @property
    def _must_announce(self) -> bool:
        return self._segments.wanted and not self.notices.missing

    @property
    def _hears_ringback(self) -> bool:
        return (self._first_is_answered or self._early) and self._plan.route.ringback

    @property
    def _first_is_answered(self) -> bool:
        return Step.ANSWER in self._done
