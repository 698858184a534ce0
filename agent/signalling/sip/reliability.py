"""Provisional responses that are sure to arrive: RFC 3262."""

import random
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import auto
from typing import Final

import msgspec

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.headers import MAX_CSEQ
from agent.signalling.sip.message import Message, Request, Response
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.timers import Timers

RELIABLE: Final = "100rel"
"The option tag."
MAX_QUEUED: Final = 8
"Responses that wait for the PRACK of one before them."

_RSEQ: Final = re.compile(r"[0-9]{1,10}")
_RACK: Final = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,10})[ \t]+(\S{1,32})")


class State(Symbol):
    """Where our reliable provisional responses to one INVITE stand."""

    IDLE = auto()
    UNACKNOWLEDGED = auto()
    "The last one awaits its PRACK, and is sent again until then."
    CLOSED = auto()
    "There is a final response, or there will be no PRACK."


class Input(Symbol):
    """What can happen."""

    SEND = auto()
    RECV_PRACK = auto()
    GIVE_UP = auto()
    "64*T1 after it was sent."
    CLOSE = auto()


class Action(Symbol):
    """What to do about it."""

    NOTHING = auto()
    SEND = auto()
    QUEUE = auto()
    FAIL = auto()


# What is not in this table is not allowed and changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.IDLE, Input.SEND): (Action.SEND, State.UNACKNOWLEDGED),
    (State.IDLE, Input.CLOSE): (Action.NOTHING, State.CLOSED),
    # Section 3: the next one only after the PRACK for the first.
    (State.UNACKNOWLEDGED, Input.SEND): (Action.QUEUE, State.UNACKNOWLEDGED),
    (State.UNACKNOWLEDGED, Input.RECV_PRACK): (Action.NOTHING, State.IDLE),
    (State.UNACKNOWLEDGED, Input.GIVE_UP): (Action.FAIL, State.CLOSED),
    (State.UNACKNOWLEDGED, Input.CLOSE): (Action.NOTHING, State.CLOSED),
    # A PRACK may be late, and is not stray for that.
    (State.CLOSED, Input.RECV_PRACK): (Action.NOTHING, State.CLOSED),
    (State.CLOSED, Input.CLOSE): (Action.NOTHING, State.CLOSED),
}


@dataclass(frozen=True, slots=True)
class Provisional:
    """A response to send."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RAck:
    """What a PRACK acknowledges (section 7.2)."""

    rseq: int
    cseq: int
    method: str

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def parse_rack(request: Request) -> RAck:
    """The RAck of a PRACK; raises SipParseError."""
    match = _RACK.fullmatch((request.headers.get("RAck") or "").strip(" \t"))
    if match is None:
        raise SipParseError("A PRACK does not say what it acknowledges.")
    return RAck(int(match[1]), int(match[2]), match[3])


class SavedProvisionals(msgspec.Struct, frozen=True, kw_only=True):
    """Those of another process."""

    state: State
    rseq: int
    queue: tuple[Provisional, ...]
    last: Response | None
    described: bool
    interval: float
    due: float | None
    give_up_at: float


class ReliableProvisionals:
    """Ours to one INVITE: sent one at a time, and again until their PRACK."""

    def __init__(
        self,
        *,
        timers: Timers,
        rng: random.Random,
        send: Callable[[Provisional, int, float], Response],
        repeat: Callable[[Response, float], None],
    ) -> None:
        """`send` sends one with that RSeq, at that time; `repeat` sends it again."""
        self.state = State.IDLE
        self._timers = timers
        self._send = send
        self._repeat = repeat
        self._rng = rng
        self._rseq = 0
        self._queue: deque[Provisional] = deque()
        self._last: Response | None = None
        self._described = False
        self._interval = 0.0
        self._due: float | None = None
        self._give_up_at = 0.0

    @property
    def holds_answer(self) -> bool:
        """Whether a 2xx must wait: a description has not been acknowledged."""
        return self.state is State.UNACKNOWLEDGED and (
            self._described or any(one.body for one in self._queue)
        )

    @property
    def outstanding(self) -> bool:
        """Whether a PRACK may come."""
        return self._last is not None

    def send(self, provisional: Provisional, now: float) -> None:
        """Send it as soon as it may go; leave it out if too many wait.

        It only tells how far a call has come: one that is told too often of a target
        that rings shall not fail for that.
        """
        if len(self._queue) >= MAX_QUEUED:
            return
        action = self._step(Input.SEND)
        if action is Action.QUEUE:
            self._queue.append(provisional)
        elif action is Action.SEND:
            self._transmit(provisional, now)

    def receive_prack(self, rack: RAck) -> bool:
        """Take a PRACK; tells whether it is for the one that awaits it.

        `send_next` then sends the one that has waited for it.
        """
        last = self._last
        if (
            last is None
            or (rack.cseq, rack.method) != (last.cseq.number, "INVITE")
            or rack.rseq != self._rseq
        ):
            return False
        self._last = self._due = None
        self._step(Input.RECV_PRACK)
        return True

    def send_next(self, now: float) -> None:
        """Send the next that waits, if it may go."""
        if self.state is State.IDLE and self._queue:
            self._step(Input.SEND)
            self._transmit(self._queue.popleft(), now)

    def close(self, now: float) -> None:
        """A final response goes out: nothing is sent again.

        Section 3: the PRACK of what was sent is answered all the same, while the peer
        may send it.
        """
        self._step(Input.CLOSE)
        self._queue.clear()
        if self._last is not None:
            self._due = self._give_up_at = now + 64 * self._timers.t1

    def save(self) -> SavedProvisionals:
        """What another process goes on with."""
        return SavedProvisionals(
            state=self.state,
            rseq=self._rseq,
            queue=tuple(self._queue),
            last=self._last,
            described=self._described,
            interval=self._interval,
            due=self._due,
            give_up_at=self._give_up_at,
        )

    def restore(self, saved: SavedProvisionals) -> None:
        """Go on with what `save` returned."""
        self.state = saved.state
        self._rseq, self._last = saved.rseq, saved.last
        self._queue, self._described = deque(saved.queue), saved.described
        self._interval, self._due = saved.interval, saved.due
        self._give_up_at = saved.give_up_at

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return self._due

    def handle_timer(self, now: float) -> bool:
        """Send again what is due; tells whether that has been in vain for too long."""
        if self._due is None or self._last is None or now < self._due:
            return False
        if now >= self._give_up_at:
            self._last = self._due = None
            return self._step(Input.GIVE_UP) is Action.FAIL
        self._repeat(self._last, now)
        self._interval *= 2
        self._due = min(now + self._interval, self._give_up_at)
        return False

    def _transmit(self, provisional: Provisional, now: float) -> None:
        # Section 3: begins anywhere up to 2**31-1, with room to count on.
        self._rseq = (self._rseq or self._rng.randrange(1, 2**31 - 2**16)) + 1
        self._last = self._send(provisional, self._rseq, now)
        self._described = bool(provisional.body)
        self._interval = self._timers.t1
        self._due = now + self._interval
        self._give_up_at = now + 64 * self._timers.t1

    def _step(self, input_: Input) -> Action | None:
        entry = TRANSITIONS.get((self.state, input_))
        if entry is None:
            return None
        action, self.state = entry
        return action


class Arrival(Symbol):
    """What a provisional response of the peer is."""

    UNRELIABLE = auto()
    NEW = auto()
    "It wants a PRACK."
    REPEATED = auto()
    EARLY = auto()
    "One before it is missing; it will come again."


class ReliableArrivals:
    """The peer's in one early dialog, in their order (section 4)."""

    def __init__(self, last: int | None = None) -> None:
        """`last`: the RSeq of the last that was had, if there were any before."""
        self.last = last

    def receive(self, response: Response) -> Arrival:
        """What `response` is; a NEW one counts as had."""
        number = _rseq(response)
        if number is None:
            return Arrival.UNRELIABLE
        if self.last is not None and number <= self.last:
            return Arrival.REPEATED
        if self.last is not None and number > self.last + 1:
            return Arrival.EARLY
        self.last = number
        return Arrival.NEW

    def rack(self, response: Response) -> RAck:
        """What the PRACK for the last NEW one says."""
        return RAck(self.last or 0, response.cseq.number, response.cseq.method)


def _rseq(message: Message) -> int | None:
    """The RSeq of a reliable response; None for any other."""
    text = (message.headers.get("RSeq") or "").strip(" \t")
    if RELIABLE not in message.require or _RSEQ.fullmatch(text) is None:
        return None
    number = int(text)
    return number if 0 < number <= MAX_CSEQ else None
