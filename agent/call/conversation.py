"""Two parties who talk, from the bridge to the end: sans-IO.

A conversation is a set of legs, two of them bridged. It is recorded while exactly the
right people are in it: an officer, and another who has heard the notice.

Inputs are methods, outputs are the commands of `agent.call.commands`.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Final

from agent.call import commands as out
from agent.call.commands import Command
from agent.call.notices import Notices
from agent.call.segments import Segments
from agent.model.call import EndCause

NORMAL_CLEARING: Final = 16
NETWORK_OUT_OF_ORDER: Final = 38
RECOVERY_ON_TIMER: Final = 102
"Q.850 causes, for the Reason header (RFC 3326)."


class State(Enum):
    """Where a conversation stands."""

    TALKING = auto()
    OVER = auto()


class Input(Enum):
    """What can happen to a conversation."""

    PARTY_LEFT = auto()
    SEGMENT_FULL = auto()
    RECORDING_FAILED = auto()
    MEDIA_TIMEOUT = auto()
    STOP = auto()


# What is not in this table changes nothing. scripts/draw-states reads it: the names
# are those of Conversation's private methods, without the underscore.
TRANSITIONS: Final[Mapping[tuple[State, Input], str]] = {
    (State.TALKING, Input.PARTY_LEFT): "hung_up",
    (State.TALKING, Input.SEGMENT_FULL): "segment_full",
    (State.TALKING, Input.RECORDING_FAILED): "recording_failed",
    (State.TALKING, Input.MEDIA_TIMEOUT): "media_timed_out",
    (State.TALKING, Input.STOP): "stopped",
}


class Conversation:
    """The part of a call in which people talk."""

    def __init__(
        self,
        emit: Callable[[Command], None],
        *,
        talkers: tuple[str, str],
        officers: Iterable[str],
        announced: Iterable[str],
        segments: Segments,
        notices: Notices,
        refuse_unrecordable: bool,
        hangup_of_outsider: EndCause,
    ) -> None:
        """`talkers` are the legs to be bridged, those of officers in `officers`.

        `announced` are the legs that have heard the notice. `refuse_unrecordable`
        is the route's policy: end the call if it cannot be recorded any more.
        """
        self._emit = emit
        self._officers = set(officers)
        self._announced = set(announced)
        self._segments = segments
        self._notices = notices
        self._refuse_unrecordable = refuse_unrecordable
        self._hangup_of_outsider = hangup_of_outsider
        self._leaver = ""
        self._reported: EndCause | None = None
        self._reason = ""
        self.talkers = talkers
        self.state = State.TALKING
        self.cause: EndCause | None = None
        "Why it is over."

    # -- inputs ---------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Let them hear each other, and record from this moment."""
        self._emit(out.Bridge(a=self.talkers[0], b=self.talkers[1]))
        self._open_segment(now)

    def left(self, leg: str, now: float, *, cause: EndCause | None = None) -> None:
        """A leg is gone; `cause` if it was not a hang-up."""
        if leg in self.talkers:
            self._leaver, self._reported = leg, cause
            self._input(Input.PARTY_LEFT, now)

    def recording_failed(self, reason: str, now: float, *, kept: bool) -> None:
        """Capture failed; `kept` says whether some of it is in a journal."""
        if self._segments.is_open:
            self._reason = reason
            self._segments.note_failure(kept=kept)
            self._input(Input.RECORDING_FAILED, now)

    def media_timeout(self, now: float) -> None:
        """All legs have been silent for the configured time."""
        self._input(Input.MEDIA_TIMEOUT, now)

    def stop(self, now: float) -> None:
        """The agent must clear the call."""
        self._input(Input.STOP, now)

    def handle_timer(self, now: float) -> None:
        """Act on the deadline of `get_timer`, if it is due."""
        deadline = self._segments.deadline
        if deadline is not None and now >= deadline:
            self._input(Input.SEGMENT_FULL, now)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in monotonic seconds."""
        return self._segments.deadline

    # -- the machine ----------------------------------------------------------

    def _input(self, input_: Input, now: float) -> None:
        action = TRANSITIONS.get((self.state, input_))
        if action is not None:
            perform: Callable[[float], None] = getattr(self, f"_{action}")
            perform(now)

    def _hung_up(self, now: float) -> None:
        cause = self._hangup_of_outsider
        if self._leaver in self._officers:
            cause = EndCause.OFFICER_HANGUP
        self._finish(self._reported or cause, NORMAL_CLEARING)

    def _media_timed_out(self, now: float) -> None:
        self._finish(EndCause.MEDIA_TIMEOUT, RECOVERY_ON_TIMER)

    def _stopped(self, now: float) -> None:
        self._finish(EndCause.AGENT_STOPPED, NORMAL_CLEARING)

    def _recording_failed(self, now: float) -> None:
        if self._refuse_unrecordable:
            self._finish(EndCause.RECORDING_FAILED, NETWORK_OUT_OF_ORDER)
        else:
            self._segments.forbid(self._reason)

    def _segment_full(self, now: float) -> None:
        self._segments.close(EndCause.SEGMENT_LIMIT)
        self._open_segment(now)

    def _open_segment(self, now: float) -> None:
        pair = self.pair
        if pair is not None and self._segments.wanted:
            customer, officer = pair
            self._segments.open(
                customer=customer,
                officer=officer,
                notices=self._notices.evidence,
                now=now,
            )

    def _finish(self, cause: EndCause, q850: int) -> None:
        self._segments.close(cause)
        for leg in self.talkers:
            self._emit(out.HangUp(leg=leg, q850=q850))
        self.state = State.OVER
        self.cause = cause

    @property
    def pair(self) -> tuple[str, str] | None:
        """(customer, officer) of a recording, if the right people talk."""
        for customer, officer in (self.talkers, self.talkers[::-1]):
            if officer in self._officers and customer in self._announced:
                return customer, officer
        return None
