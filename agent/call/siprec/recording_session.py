"""The life of one recording session as a state machine: sans-IO.

A recording session is a call whose parties are elsewhere: a client sends what they say
on n streams, and tells in metadata who they are (RFC 7866). A segment is open while
they talk and may be recorded; another caller or officer is another segment. What is not
known, or is told wrong, is no reason to lose what is said.

Inputs are methods, outputs are the commands of `agent.call.siprec.commands`.
"""

from collections import deque
from enum import auto
from typing import Final, Literal

from agent.call.commands import Close, Refuse
from agent.call.release_causes import (
    NETWORK_OUT_OF_ORDER,
    NORMAL_CLEARING,
    RECOVERY_ON_TIMER,
)
from agent.call.segments import Segments
from agent.call.siprec import commands as out
from agent.call.siprec.churn import EVERY, LENGTH, Churn, Pace
from agent.call.siprec.commands import Command, Withheld, Withhold
from agent.call.siprec.situation import Situation, Who
from agent.call.siprec.snapshots import Snapshots
from agent.call.siprec.state import MachineState
from agent.model.call import EndCause, Outcome
from agent.model.recording import Channel
from agent.signalling.sip.symbol import Symbol

PATIENCE: Final = 1.0
"""Seconds in which metadata may follow the INVITE and yet apply from its answer on.

Enough for an UPDATE behind the ACK, and for its first retransmission (500 ms). What is
said meanwhile waits in the streams' sockets, which hold 1.8 s of it at the least."""
MAX_LEGS: Final = 16
"Of one segment, those included that have left it; one more begins another."

_CAUSES: Final = {
    Withheld.EXEMPT: EndCause.TRANSFERRED,
    Withheld.OUTSIDERS: EndCause.TRANSFERRED,
    Withheld.NO_OFFICER: EndCause.TRANSFERRED,
    # More was said that might have been recorded: what there is, is a part.
    Withheld.NOTICE: EndCause.RECORDING_STOPPED,
}
"As what a segment ends when what is said may not be recorded any more."
_EXEMPTING: Final = frozenset({Withheld.EXEMPT, Withheld.NOTICE})
"Those for which a session of which nothing was recorded has the outcome `exempt`."


class Phase(Symbol):
    """Where a recording session stands."""

    OFFERED = auto()
    IDLE = auto()
    "It is up, and nothing is being recorded."
    TALKING = auto()
    "A segment is open."
    ENDED = auto()


class RecordingSession:
    """One recording session, from its INVITE to its one outcome."""

    def __init__(
        self,
        *,
        on_recording_failure: Literal["refuse", "unrecorded"],
        on_notice_failure: Literal["discard", "record"],
        on_late_exemption: Literal["discard", "keep"] = "discard",
        max_segment: float = 7200.0,
        max_pause: float = 0.0,
    ) -> None:
        """`max_segment` and `max_pause` are in seconds."""
        self._commands: deque[Command] = deque()
        self._emit = self._commands.append
        self._refuses = on_recording_failure == "refuse"
        self._discards = on_notice_failure == "discard"
        self._discards_late = on_late_exemption == "discard"
        self.segments = Segments(
            self._emit, wanted=True, max_length=max_segment, max_pause=max_pause
        )
        "What is recorded, and is ordered of that."
        self._snapshots = Snapshots()
        self._churn = Churn()
        self._crowded_until: float | None = None
        "The open segment is of whoever there is until then."
        self._waits_until: float | None = None
        "None is opened before that."
        self._untold_until: float | None = None
        "None is opened before that, unless the client tells who talks."
        self._acknowledged = False
        self._answered = False
        self._withheld: Withheld | None = None
        "Why what is said now may not be recorded."
        self._exempt = False
        "Whether anything ever was so that it had to be recorded of nobody."
        self._situation: Situation | None = None
        self._who: Who = ("", frozenset())
        self._legs: dict[str, Channel] = {}
        "Of the open segment, in their order."
        self._silent: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        "Which of them are inactive, and which on hold."
        self.outcome: Outcome | None = None

    @property
    def state(self) -> MachineState | None:
        """All of it while it is up, for `restore` in another process; else None."""
        if not self._answered or self.outcome is not None:
            return None
        return MachineState(
            segments=self.segments.state,
            snapshots=self._snapshots.state,
            churn=self._churn.state,
            crowded_until=self._crowded_until,
            waits_until=self._waits_until,
            untold_until=self._untold_until,
            acknowledged=self._acknowledged,
            withheld=self._withheld,
            exempt=self._exempt,
            caller=self._who[0],
            officers=self._who[1],
            legs=dict(self._legs),
            inactive=self._silent[0],
            held=self._silent[1],
        )

    def restore(self, state: MachineState) -> None:
        """Go on where another one stood; `update` is to follow."""
        self.segments.restore(state.segments)
        self._snapshots.restore(state.snapshots)
        self._churn.restore(state.churn)
        self._crowded_until = state.crowded_until
        self._waits_until = state.waits_until
        self._untold_until = state.untold_until
        self._acknowledged = state.acknowledged
        self._withheld = state.withheld
        self._exempt = state.exempt
        self._who = state.caller, state.officers
        self._legs = dict(state.legs)
        self._silent = state.inactive, state.held
        self._answered = True

    # -- inputs: set-up --------------------------------------------------------

    def begin(self, *, can_record: bool) -> None:
        """The intent is durable; `can_record` says whether there is a place for it."""
        if not can_record:
            if self._refuses:
                self.refuse_unrecordable()
                return
            self.segments.forbid("the spool cannot take a recording")
        self._emit(out.Answer())

    def refuse_unrecordable(self) -> None:
        """Better no recording session than one that records nothing."""
        if not self._answered and self.outcome is None:
            self._emit(Refuse(status=503, reason="Recording Unavailable"))
            self._end(Outcome.BLOCKED, EndCause.RECORDING_FAILED, 503)

    def unacceptable(self, status: int, reason: str) -> None:
        """None of what is offered can be recorded."""
        self._emit(Refuse(status=status, reason=reason))
        self._end(Outcome.REJECTED, EndCause.ERROR, status)

    def answered(self, situation: Situation, now: float) -> None:
        """Media is there, and the answer is about to leave."""
        self._answered = True
        self._untold_until = now + PATIENCE
        self.update(situation, now)

    def acknowledged(self, now: float) -> None:
        """Its ACK has come: the client can be asked for something."""
        self._acknowledged = True
        self._ask(now)

    # -- inputs: while it is up ------------------------------------------------

    def update(self, situation: Situation, now: float) -> None:
        """Something is otherwise: a stream, a party, or what is known of them."""
        self._situation = situation
        if not self._is_up:
            return
        self._snapshots.note(now, missing=situation.incomplete, later=situation.behind)
        self._settle(now)
        self._ask(now)

    def left(self, cause: EndCause) -> None:
        """The client has ended it, or is gone."""
        if self._is_up:
            self._wait_no_longer()
            self._finish(cause)
        elif self.outcome is None:
            self._end(Outcome.ABANDONED, cause)

    def recording_failed(self, reason: str, *, kept: bool) -> None:
        """Capture failed; `kept` says whether some of it is in a journal."""
        if not self.segments.is_open:
            return
        self.segments.note_failure(kept=kept)
        if self._refuses:
            # The client may have another recorder.
            self._hang_up(EndCause.RECORDING_FAILED, NETWORK_OUT_OF_ORDER)
        else:
            self.segments.forbid(reason)
            self.segments.miss()

    def segment_lost(self, now: float) -> None:
        """What is being captured can never be opened: another segment must do."""
        if self.segments.is_open:
            self.segments.close(EndCause.SEGMENT_LIMIT)
            self._settle(now)

    def media_timeout(self) -> None:
        """Nothing has come for the configured time on any stream that is active."""
        if self.segments.is_open:
            self._hang_up(EndCause.MEDIA_TIMEOUT, RECOVERY_ON_TIMER)

    def stop(self) -> None:
        """The agent must clear it."""
        if self.outcome is None:
            self._wait_no_longer()
            self._hang_up(EndCause.AGENT_STOPPED, NORMAL_CLEARING)

    def handle_timer(self, now: float) -> None:
        """Act on the deadlines that are due."""
        if self.segments.deadline is not None and now >= self.segments.deadline:
            self.segments.close(EndCause.SEGMENT_LIMIT)
            self._settle(now)
        if any(at is not None and now >= at for at in self._crowd_deadlines):
            self._waits_until = None
            self._settle(now)
        if self._untold_until is not None and now >= self._untold_until:
            self._wait_no_longer()
        self.segments.pause.handle_timer(now)
        self._ask(now)

    # -- outputs ---------------------------------------------------------------

    def next_command(self) -> Command | None:
        """What is to be done next, oldest first."""
        return self._commands.popleft() if self._commands else None

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        asking = self._snapshots.deadline if self._acknowledged else None
        segments = self.segments
        deadlines = (
            segments.deadline,
            segments.pause.deadline,
            self._untold_until,
            asking,
            *self._crowd_deadlines,
        )
        return min((at for at in deadlines if at is not None), default=None)

    @property
    def awaits_metadata(self) -> bool:
        """Whether nothing is recorded yet because nobody has said who talks."""
        return self._is_up and self._untold_until is not None

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        if self.outcome is not None:
            return Phase.ENDED
        if not self._answered:
            return Phase.OFFERED
        return Phase.TALKING if self.segments.is_open else Phase.IDLE

    # -- what is recorded ------------------------------------------------------

    @property
    def _crowd_deadlines(self) -> tuple[float | None, float | None]:
        if not self._is_up:
            return None, None
        crowded = self._crowded_until if self.segments.is_open else None
        return crowded, self._waits_until

    @property
    def _is_up(self) -> bool:
        return self._answered and self.outcome is None

    def _settle(self, now: float) -> None:
        """Make what is recorded what is to be recorded."""
        situation = self._situation
        if situation is None:
            return
        if situation.told:
            self._untold_until = None
        if self.awaits_metadata:
            return
        if not situation.going_on:
            self.segments.close(EndCause.SESSION_ENDED)
            self.segments.renew()
            return
        if (withheld := self._withhold(situation)) is not self._withheld:
            self._withheld = withheld
            if withheld is not None:
                self._emit(Withhold(reason=withheld))
        if withheld is not None:
            self._exempt = self._exempt or withheld in _EXEMPTING
            late = withheld is Withheld.EXEMPT and situation.exempt_before
            discard = late and self._discards_late
            self.segments.close(_CAUSES[withheld], discard=discard)
            return
        if self.segments.is_open and not self._goes_on(situation, now):
            self.segments.close(EndCause.TRANSFERRED)
        if self.segments.is_open:
            self._follow(situation)
        elif situation.streams:
            if self.segments.wanted:
                self._open(situation, now)
            else:
                self.segments.miss()

    def _wait_no_longer(self) -> None:
        """Record what waits, of whomever it is."""
        if (at := self._untold_until) is not None:
            self._untold_until = None
            self._settle(at)

    def _withhold(self, situation: Situation) -> Withheld | None:
        """Why what is said now may not be recorded; None if it may."""
        if situation.parties.exempt:
            return Withheld.EXEMPT
        if self._discards and not situation.announced:
            return Withheld.NOTICE
        if situation.parties.outsiders_only:
            return Withheld.OUTSIDERS
        return Withheld.NO_OFFICER if situation.awaits_officer else None

    def _goes_on(self, situation: Situation, now: float) -> bool:
        """Whether the open segment is still one of the same people."""
        if self._crowded_until is not None:
            return now < self._crowded_until
        news = [one for one in situation.streams if one.name not in self._legs]
        moved = any(
            self._legs.get(one.name, channel) is not channel
            for one in situation.streams
            for channel in (situation.channel(one.label),)
        )
        fits = len(self._legs) + len(news) <= MAX_LEGS
        return situation.who == self._who and not moved and fits

    def _open(self, situation: Situation, now: float) -> None:
        if self._waits_until is not None:
            return
        self._crowded_until = None
        pace = self._churn.take(now)
        if pace is Pace.WAIT:
            self._waits_until = now + EVERY
            self._emit(out.Wait(seconds=EVERY))
            return
        if pace is Pace.CROWDED:
            self._crowded_until = now + LENGTH
            situation = situation.of_nobody
        self._who = situation.who
        self._legs = {
            one.name: situation.channel(one.label)
            for one in situation.streams[:MAX_LEGS]
        }
        self._silent = situation.inactive(self._legs), situation.on_hold(self._legs)
        self._emit(
            out.OpenSegment(
                number=self.segments.open(now),
                situation=situation,
                legs=tuple(self._legs),
                channels=tuple(self._legs.values()),
                paused=self.segments.pause.order,
            )
        )

    def _follow(self, situation: Situation) -> None:
        for one in situation.streams:
            if one.name not in self._legs:
                channel = self._legs[one.name] = situation.channel(one.label)
                self._emit(out.AddStream(leg=one.name, channel=channel))
        silent = situation.inactive(self._legs), situation.on_hold(self._legs)
        if silent != self._silent:
            self._silent = silent
            self._emit(out.Silence(inactive=silent[0], held=silent[1]))

    def _ask(self, now: float) -> None:
        if self._is_up and self._acknowledged and self._snapshots.due(now):
            self._emit(out.AskSnapshot())

    # -- the end ---------------------------------------------------------------

    def _hang_up(self, cause: EndCause, q850: int) -> None:
        self._emit(out.HangUp(q850=q850))
        if self._answered:
            self._finish(cause)
        else:
            self._end(Outcome.FAILED, cause)

    def _finish(self, cause: EndCause) -> None:
        self.segments.close(cause)
        self.segments.pause.clear()
        outcome = self.segments.outcome
        if outcome is Outcome.ABANDONED and self._exempt:
            outcome = Outcome.EXEMPT
        self._end(outcome, cause)

    def _end(
        self, outcome: Outcome, cause: EndCause, status: int | None = None
    ) -> None:
        self.outcome = outcome
        self._snapshots.note(0.0, missing=False)
        self._emit(Close(outcome=outcome, cause=cause, sip_status=status))
