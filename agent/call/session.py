"""The life of one call as a state machine: sans-IO.

A call is a set of legs. The first leg, `a`, is whoever rang; `b1`, `b2`, … are those
the agent rings. It is set up until two parties talk (`agent.call.setup`), and then a
conversation (`agent.call.conversation`); what is recorded of it are its segments.

Inputs are methods, outputs are the commands of `agent.call.commands`.
"""

from collections import deque
from collections.abc import Iterable

from agent.call import commands as out
from agent.call.commands import Command
from agent.call.conversation import Conversation
from agent.call.leg_names import FIRST, LegNames
from agent.call.notices import Notices
from agent.call.phases import Phase
from agent.call.routing import Plan
from agent.call.segments import Segments
from agent.call.setup import Setup
from agent.call.state import SessionState
from agent.common.weakly import weakly
from agent.model.call import EndCause, Outcome
from agent.model.recording import NoticeEvidence


class CallSession:
    """One call, from the offer to its one outcome."""

    def __init__(
        self, plan: Plan, *, can_record: bool, max_segment: float = 7200.0
    ) -> None:
        self._plan = plan
        self._commands: deque[Command] = deque()
        self._emit = self._commands.append
        self._names = LegNames()
        self.segments = Segments(
            self._emit,
            wanted=not plan.exempt,
            max_length=max_segment,
            max_pause=plan.route.max_pause,
        )
        "What of the call is recorded, and is ordered of that."
        self._setup = Setup(
            self._emit,
            plan=plan,
            can_record=can_record,
            segments=self.segments,
            names=self._names,
            complete=weakly(self._talk),
            over=weakly(self._end),
        )
        self.conversation: Conversation | None = None
        "What happens once two parties talk."
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
            notices=self._setup.notices.state,
            segments=self.segments.state,
            conversation=talk.kept,
        )

    def restore(self, state: SessionState) -> None:
        """Go on where another one stood."""
        self._names.given = state.legs_named
        self._setup.restore(state.partner, Notices.restore(state.notices))
        self.segments.restore(state.segments)
        kept = state.conversation
        self.conversation = self._converse(
            kept.talkers, officers=kept.officers, announced=kept.announced
        )
        self.conversation.restore(kept)

    # -- inputs: set-up ---------------------------------------------------------

    def begin(self, notices: tuple[str, ...], now: float) -> None:
        """The intent is durable; `notices` name the sounds to be played, in order."""
        self._setup.begin(notices, now)

    def refuse_unrecordable(self) -> None:
        """Policy: better no call than one that cannot be recorded."""
        self._setup.refuse_unrecordable()

    def acknowledged(self, now: float) -> None:
        """The first party's ACK for our 2xx has come."""
        self._setup.acknowledged(now)

    def early_opened(self, now: float) -> None:
        """The first party hears us, without having been answered."""
        self._setup.early_opened(now)

    def early_unavailable(self, now: float) -> None:
        """It cannot hear us before it is answered."""
        self._setup.early_unavailable(now)

    def unacceptable(self, status: int, reason: str) -> None:
        """The first party's offer cannot be answered."""
        self._setup.unacceptable(status, reason)

    # -- inputs: those who are rung ---------------------------------------------

    def target_ringing(self, leg: str, now: float, *, early_media: bool) -> None:
        """A leg that is rung sent a provisional response."""
        if self.conversation is not None:
            self.conversation.target_ringing(leg, now)
        else:
            self._setup.target_ringing(leg, now, early_media=early_media)

    def target_answered(self, leg: str, now: float, *, officer: bool = True) -> None:
        """A leg that is rung answered, with audio we can use.

        `officer` says of an inbound call whether an officer did, or a queue.
        """
        if self.conversation is not None:
            self.conversation.target_answered(leg, now)
        else:
            self._setup.target_answered(leg, now, officer=officer)

    def target_refused(self, leg: str, status: int, now: float) -> None:
        """A leg that is rung refused, failed, or answered without usable audio."""
        self._part.hunt.refused(leg, status, now)

    def target_unsent(self, leg: str) -> None:
        """The process before had not sent the INVITE of a leg that is rung."""
        self._part.hunt.ring_again(leg)

    def target_redirected(self, leg: str, targets: Iterable[str], now: float) -> None:
        """A leg that is rung names others, which may be rung, the best first."""
        self._part.hunt.redirected(leg, targets, now)

    def picked_up(self, leg: str, newcomer: str, now: float) -> None:
        """Another leg, which has been answered, takes the place of one that rings."""
        if self.rings(leg):
            self._part.hunt.picked_up(newcomer)
            self.target_answered(newcomer, now)

    # -- inputs: in either part ---------------------------------------------------

    def left(self, leg: str, now: float, *, cause: EndCause | None = None) -> None:
        """A leg is gone: BYE, CANCEL, a missing ACK; `cause` if not a hang-up."""
        self._part.left(leg, now, cause=cause)

    def notice_played(self, evidence: NoticeEvidence, now: float) -> None:
        """One notice has been sent, the last frame included."""
        self._part.notice_played(evidence, now)

    def notice_failed(self, now: float) -> None:
        """A notice could not be played to its end."""
        self._part.notice_failed(now)

    def stop(self, now: float) -> None:
        """The agent must clear the call."""
        self._part.stop(now)

    def handle_timer(self, now: float) -> None:
        """Act on the deadline of `get_timer`, if it is due."""
        self._part.handle_timer(now)

    # -- inputs: media and recording ----------------------------------------------

    def recording_failed(self, reason: str, now: float, *, kept: bool) -> None:
        """Capture failed; `kept` says whether some of it is in a journal."""
        if self.conversation is not None:
            self.conversation.recording_failed(reason, now, kept=kept)

    def media_timeout(self, now: float) -> None:
        """All legs have been silent for the configured time."""
        if self.conversation is not None:
            self.conversation.media_timeout(now)

    # -- outputs ------------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        return self._part.get_timer()

    def next_command(self) -> Command | None:
        """What is to be done next, oldest first."""
        return self._commands.popleft() if self._commands else None

    def new_name(self) -> str:
        """A name for a leg that comes into the call by itself."""
        return next(self._names)

    @property
    def exempt(self) -> bool:
        """Whether it may never be recorded."""
        return self._plan.exempt

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self._setup.phase if self.outcome is None else Phase.ENDED

    @property
    def partner(self) -> str:
        """The leg that has answered the first; empty until one has."""
        return self._setup.partner

    def rings(self, leg: str) -> bool:
        """Whether a leg is wanted, and has no final response yet."""
        return self._part.rings(leg)

    @property
    def ringing(self) -> frozenset[str]:
        """Every leg of which that is true."""
        return frozenset(self._part.hunt.ringing)

    @property
    def hunts(self) -> bool:
        """Whether targets are rung for the first party, and none has answered."""
        return self.conversation is None and bool(self._setup.hunt.ringing)

    def rings_alone(self, leg: str) -> bool:
        """Likewise, and no other: only then can the first party hear it already."""
        return self.conversation is None and self._setup.hunt.ringing == {leg}

    # -- from one part to the next ------------------------------------------------

    @property
    def _part(self) -> Setup | Conversation:
        return self._setup if self.conversation is None else self.conversation

    def _talk(self, now: float) -> None:
        self.conversation = self._converse(
            (FIRST, self.partner),
            officers=self._setup.officers,
            announced=self._setup.announced,
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
            segments=self.segments,
            notices=self._setup.notices,
            names=self._names,
            over=weakly(self._talk_over),
        )

    def _talk_over(self, cause: EndCause) -> None:
        self._end(self.segments.outcome, cause)

    def _end(
        self, outcome: Outcome, cause: EndCause | None, sip_status: int | None = None
    ) -> None:
        self.outcome = Outcome.EXEMPT if self._plan.exempt else outcome
        self._emit(out.Close(outcome=self.outcome, cause=cause, sip_status=sip_status))
