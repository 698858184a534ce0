"""Two parties who talk, from the bridge to the end: sans-IO.

A conversation is a set of legs, two of them bridged. It is recorded while an officer
is in it and the other has heard the notice; whoever comes in later, and is no
officer, hears the notice first. When an officer leaves, or another one comes, the
segment ends, and the next one begins with whoever is there then.

Inputs are methods, outputs are the commands of `agent.call.commands`. What an input
means in a state stands in `agent.call.conversation_states`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from agent.call import commands as out, refusal
from agent.call.commands import Command
from agent.call.config import RouteConfig
from agent.call.conversation_states import TRANSITIONS, Input, State
from agent.call.hunt import Hunt
from agent.call.notices import NOTICE_LIMIT, Notices
from agent.call.release_causes import (
    NETWORK_OUT_OF_ORDER,
    NORMAL_CLEARING,
    RECOVERY_ON_TIMER,
)
from agent.call.routing import Destination
from agent.call.segments import Segments
from agent.call.state import ConversationState
from agent.common.weakly import weakly
from agent.model.call import CallDirection, EndCause
from agent.model.recording import NoticeEvidence

CANCELLED: Final = 487
"What a transferor is told of a transfer that was given up (RFC 3261 section 21.4.25)."


class Conversation:
    """The part of a call in which people talk."""

    def __init__(
        self,
        emit: Callable[[Command], None],
        *,
        route: RouteConfig,
        direction: CallDirection,
        talkers: tuple[str, ...],
        officers: Iterable[str],
        announced: Iterable[str],
        segments: Segments,
        notices: Notices,
        names: Iterator[str],
        over: Callable[[EndCause], None],
    ) -> None:
        """`talkers` are the legs to be bridged, those of officers in `officers`.

        `announced` are the legs that have heard the notice; `names` gives names to
        legs that are yet to be rung; `over` hears once why it has ended.
        """
        self._emit = emit
        self._over = over
        self._route = route
        self._direction = direction
        self._officers = set(officers)
        self._announced = set(announced)
        self._exempt: set[str] = set()
        "Legs that may never be announced to or recorded."
        self._segments = segments
        self._notices = notices
        self._names = names
        self._deadline: float | None = None
        self._listener = ""
        "The leg that hears the notice now."
        self.hunt = self._new_hunt((), ring_timeout=None)
        "For the target of a transfer."
        self._to_staff = False
        "Whether that target is an officer."
        self._transferor = ""
        self._subject = ""
        "The leg an input is about."
        self._newcomer = ""
        self._reported: EndCause | None = None
        self._reason = ""
        self._destination = Destination(rounds=(), staff=False)
        self._held = False
        self.talkers: tuple[str, ...] = talkers
        self.state = State.TALKING

    @property
    def kept(self) -> ConversationState:
        """All of it, for `restore` in another process."""
        return ConversationState(
            state=self.state.name,
            talkers=self.talkers,
            officers=frozenset(self._officers),
            announced=frozenset(self._announced),
            exempt=frozenset(self._exempt),
            deadline=self._deadline,
            listener=self._listener,
            hunt=self.hunt.state,
            target_is_staff=self._to_staff,
            target_is_exempt=self._destination.exempt,
            transferor=self._transferor,
            held=self._held,
        )

    def restore(self, kept: ConversationState) -> None:
        """Go on where another one stood."""
        self.state = State[kept.state]
        self._exempt = set(kept.exempt)
        self._deadline = kept.deadline
        self._listener = kept.listener
        self.hunt.restore(kept.hunt)
        self._to_staff = kept.target_is_staff
        self._destination = Destination(
            rounds=(), staff=kept.target_is_staff, exempt=kept.target_is_exempt
        )
        self._transferor = kept.transferor
        self._held = kept.held

    # -- inputs: who is there --------------------------------------------------

    def begin(self, now: float) -> None:
        """Let them hear each other, and record from this moment."""
        self._emit(out.Bridge(a=self.talkers[0], b=self.talkers[1]))
        self._admit(now)

    def left(self, leg: str, now: float, *, cause: EndCause | None = None) -> None:
        """A leg is gone; `cause` if it was not a hang-up."""
        if leg in self.talkers:
            self._subject, self._reported = leg, cause
            transferor = leg == self._transferor and self.state is State.TRANSFERRING
            left = Input.TRANSFEROR_LEFT if transferor else Input.PARTY_LEFT
            self._input(left, now)

    def replaced(
        self,
        leg: str,
        newcomer: str,
        now: float,
        *,
        officer: bool,
        announced: bool,
        exempt: bool = False,
    ) -> None:
        """A leg that has been answered takes the place of another.

        `exempt`: with it nothing is recorded.
        """
        if leg in self.talkers and self.state is State.TALKING:
            if exempt:
                self._exempt.add(newcomer)
            if officer:
                self._officers.add(newcomer)
            if announced:
                self._announced.add(newcomer)
            self._subject, self._newcomer = leg, newcomer
            self._input(Input.REPLACED, now)

    def surrendered(self, leg: str, now: float) -> None:
        """A party goes on talking in another call; this one is over."""
        if leg in self.talkers:
            self._subject = leg
            self._input(Input.SURRENDERED, now)

    def identified(self, leg: str, now: float, *, officer: bool) -> None:
        """A party is someone else now (RFC 4916), and maybe an officer."""
        if officer:
            self._officers.add(leg)
        else:
            self._officers.discard(leg)
        if leg in self.talkers:
            self._input(Input.IDENTIFIED, now)

    # -- inputs: transfers -----------------------------------------------------

    def transfer(
        self, leg: str, destination: Destination, now: float, *, held: bool
    ) -> None:
        """A party hands the other on; `held` if it has the other on hold."""
        if leg in self.talkers:
            self._subject, self._destination = leg, destination
            self._held = held
            self._input(Input.TRANSFER, now)

    def taken_back(self, leg: str, now: float) -> None:
        """A party no longer holds the other."""
        if leg == self._transferor and self._held:
            self._input(Input.TAKEN_BACK, now)

    def target_ringing(self, leg: str, now: float) -> None:
        """A leg that is rung sent a provisional response."""
        if self.rings(leg):
            self._input(Input.TARGET_RINGING, now)

    def target_answered(self, leg: str, now: float) -> None:
        """A leg that is rung answered, with audio we can use."""
        if self.rings(leg):
            self._newcomer = leg
            self._input(Input.TARGET_ANSWERED, now)

    def rings(self, leg: str) -> bool:
        """Whether a leg is rung to take somebody's place."""
        return leg in self.hunt.ringing

    # -- who is there ------------------------------------------------------------

    def other(self, leg: str) -> str:
        """Whom a talker talks with; empty if that one has left."""
        return next((one for one in self.talkers if one != leg), "")

    @property
    def waiting(self) -> str:
        """Who will talk with the target of the transfer that is going on."""
        return self.other(self._transferor)

    def is_officer(self, leg: str) -> bool:
        """Whether a leg is an officer's part in this conversation."""
        return leg in self._officers

    def has_heard(self, leg: str) -> bool:
        """Whether a leg has heard the notice."""
        return leg in self._announced

    # -- inputs: media, recording, time ----------------------------------------

    def notice_played(self, evidence: NoticeEvidence, now: float) -> None:
        """A notice has been sent to who came later, the last frame included."""
        if self._listener:
            self._notices.note_played(evidence)
            self._input(Input.NOTICE_PLAYED, now)

    def notice_failed(self, now: float) -> None:
        """It could not be played to its end."""
        if self._listener:
            self._input(Input.NOTICE_FAILED, now)

    def recording_failed(self, reason: str, now: float, *, kept: bool) -> None:
        """Capture failed; `kept` says whether some of it is in a journal."""
        if self._segments.is_open:
            self._reason = reason
            self._segments.note_failure(kept=kept)
            self._input(Input.RECORDING_FAILED, now)

    def segment_lost(self, now: float) -> None:
        """What is being captured can never be opened: another segment must do."""
        if self._segments.is_open:
            self._input(Input.SEGMENT_FULL, now)

    def media_timeout(self, now: float) -> None:
        """All legs have been silent for the configured time."""
        self._input(Input.MEDIA_TIMEOUT, now)

    def stop(self, now: float) -> None:
        """The agent must clear the call."""
        self._input(Input.STOP, now)

    def handle_timer(self, now: float) -> None:
        """Act on the deadlines that are due."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            clearing = self.state is State.CLEARING
            self._input(Input.CLEARED if clearing else Input.NOTICE_STALLED, now)
        self.hunt.handle_timer(now)
        if self._segments.deadline is not None and now >= self._segments.deadline:
            self._input(Input.SEGMENT_FULL, now)
        self._segments.pause.handle_timer(now)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        segments = self._segments
        recording = (segments.deadline, segments.pause.deadline)
        deadlines = (self._deadline, self.hunt.deadline, *recording)
        return min((at for at in deadlines if at is not None), default=None)

    # -- the machine ----------------------------------------------------------

    def _input(self, input_: Input, now: float) -> None:
        action = TRANSITIONS.get((self.state, input_))
        if action is not None:
            perform: Callable[[float], None] = getattr(self, f"_{action}")
            perform(now)

    def _transfer(self, now: float) -> None:
        destination = self._destination
        self.state = State.TRANSFERRING
        self._transferor = self._subject
        self._to_staff = destination.staff
        self.hunt = self._new_hunt(
            destination.rounds,
            ring_timeout=None if destination.emergency else self._route.ring_timeout,
        )
        if self._held:
            self._let_wait()
        self.hunt.begin(now)

    def _let_wait(self) -> None:
        """Whoever waits for the target hears that it rings."""
        if self._route.ringback:
            self._emit(out.Play(legs=(self.waiting,), sound="ringback", loop=True))

    def _new_hunt(
        self, rounds: Iterable[tuple[str, ...]], *, ring_timeout: float | None
    ) -> Hunt:
        return Hunt(
            rounds,
            names=self._names,
            ring_timeout=ring_timeout,
            emit=self._emit,
            exhausted=weakly(self._transfer_failed),
        )

    def _target_ringing(self, now: float) -> None:
        self._notify(180)

    def _target_answered(self, now: float) -> None:
        self.hunt.answered(self._newcomer)
        if self._to_staff:
            self._officers.add(self._newcomer)
        if self._destination.exempt:
            self._exempt.add(self._newcomer)
        self._subject = self._transferor
        self._replace(now)

    def _transfer_failed(self, now: float) -> None:
        """Nobody takes the transferor's place."""
        status = self.hunt.status
        self._notify(status)
        if self.state is State.TRANSFERRING:
            self._rejoin()
            return
        self.state = State.CLEARING
        self._deadline = now + self._route.busy_tone
        self._emit(out.Play(legs=self.talkers, sound=refusal.tone(status), loop=True))

    def _take_back(self, now: float) -> None:
        self.hunt.give_up()
        self._notify(CANCELLED)
        self._rejoin()

    def _rejoin(self) -> None:
        """The two talk on as before the transfer."""
        self.state = State.TALKING
        self._transferor = ""
        self._emit(out.Bridge(a=self.talkers[0], b=self.talkers[1]))

    def _hand_over(self, now: float) -> None:
        """The transferor does not wait for the target's answer."""
        self.state = State.HANDED_OVER
        self._drop(self._transferor, EndCause.TRANSFERRED)
        self._let_wait()

    def _replace(self, now: float) -> None:
        """The newcomer talks in the place of the subject, which leaves."""
        former, newcomer = self._subject, self._newcomer
        self._notify(200)
        self.state = State.TALKING
        self._transferor = ""
        stay = tuple(leg for leg in self.talkers if leg != former)
        if former in self.talkers:
            self._drop(former, EndCause.TRANSFERRED)
        self.talkers = (*stay, newcomer)
        self._emit(out.Bridge(a=self.talkers[0], b=self.talkers[1]))
        self._admit(now)

    def _drop(self, leg: str, cause: EndCause) -> None:
        self._segments.close(cause)
        self._break_off_notice()
        self.talkers = tuple(one for one in self.talkers if one != leg)
        self._emit(out.HangUp(leg=leg, q850=NORMAL_CLEARING))

    def _surrender(self, now: float) -> None:
        leaving = self._subject
        self._segments.close(EndCause.TRANSFERRED)
        self.talkers = tuple(leg for leg in self.talkers if leg != leaving)
        self._finish(EndCause.TRANSFERRED, NORMAL_CLEARING)

    def _hung_up(self, now: float) -> None:
        cause = EndCause.CUSTOMER_HANGUP
        if self._subject in self._officers:
            cause = EndCause.OFFICER_HANGUP
        elif self._direction is CallDirection.INBOUND:
            cause = EndCause.CALLER_HANGUP
        self._notify(CANCELLED)
        self._finish(self._reported or cause, NORMAL_CLEARING)

    def _media_timed_out(self, now: float) -> None:
        self._finish(EndCause.MEDIA_TIMEOUT, RECOVERY_ON_TIMER)

    def _cleared(self, now: float) -> None:
        self._finish(EndCause.TRANSFERRED, refusal.cause(self.hunt.status))

    def _stopped(self, now: float) -> None:
        self._finish(EndCause.AGENT_STOPPED, NORMAL_CLEARING)

    def _finish(self, cause: EndCause, q850: int) -> None:
        self._segments.close(cause)
        self._segments.pause.clear()
        self.hunt.give_up()
        for leg in self.talkers:
            self._emit(out.HangUp(leg=leg, q850=q850))
        self._deadline = None
        self.state = State.OVER
        self._over(cause)

    def _notify(self, status: int) -> None:
        if self._transferor in self.talkers:
            self._emit(out.Notify(leg=self._transferor, status=status))

    # -- what is recorded -------------------------------------------------------

    def _recast(self, now: float) -> None:
        """Someone has become someone else: what follows is another segment."""
        self._segments.close(EndCause.TRANSFERRED)
        self._break_off_notice()
        self._admit(now)

    def _admit(self, now: float) -> None:
        """Record the talkers if they may be, once all who must have been told."""
        pair = self._pair
        if pair is None or not self._exempt.isdisjoint(pair):
            return
        if not self._segments.wanted:
            self._segments.miss()
            return
        customer, officer = pair
        if customer in self._announced | self._officers:
            self._emit(
                out.OpenRecording(
                    segment=self._segments.open(now),
                    customer=customer,
                    officer=officer,
                    notices=self._notices.evidence,
                    paused=self._segments.pause.order,
                )
            )
            return
        self._notices.begin_again()
        self._listener = customer
        self._play_next_notice(now)

    def _play_next_notice(self, now: float) -> None:
        if self._notices.missing:
            self._notice_failed(now)
        elif self._notices.finished:
            self._announced.add(self._listener)
            self._listener, self._deadline = "", None
            self._admit(now)
        else:
            self._deadline = now + NOTICE_LIMIT
            self._emit(self._notices.play_next((self._listener,)))

    def _notice_played(self, now: float) -> None:
        self._play_next_notice(now)

    def _notice_failed(self, now: float) -> None:
        self._listener, self._deadline = "", None
        if self._route.on_notice_failure == "refuse":
            self._finish(EndCause.ERROR, NETWORK_OUT_OF_ORDER)
        else:
            # Never record unannounced.
            self._segments.forbid("the notice could not be played")
            self._segments.miss()

    def _break_off_notice(self) -> None:
        if self._listener:
            self._listener, self._deadline = "", None

    def _recording_failed(self, now: float) -> None:
        if self._route.on_recording_failure == "refuse":
            self._finish(EndCause.RECORDING_FAILED, NETWORK_OUT_OF_ORDER)
        else:
            self._segments.forbid(self._reason)
            self._segments.miss()

    def _segment_full(self, now: float) -> None:
        self._segments.close(EndCause.SEGMENT_LIMIT)
        self._admit(now)

    @property
    def _pair(self) -> tuple[str, str] | None:
        """(customer, officer) of a recording; None without an officer."""
        first, second = self.talkers
        if second in self._officers and first not in self._officers:
            return first, second
        return (second, first) if first in self._officers else None
