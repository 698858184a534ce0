"""What the four transaction machines share: deadlines, datagrams, events."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Generic, TypeVar

import msgspec

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.timers import Timers


class FailureReason(StrEnum):
    """Why a transaction failed."""

    TIMEOUT = "timeout"
    "No final response came (timers B, F), or none was given."
    TRANSPORT = "transport"
    "The network refused what was sent."
    NO_ACK = "no-ack"
    "No ACK came for a final response to an INVITE (timer H)."


class ResponsePassed(msgspec.Struct, frozen=True):
    """A response for the transaction user."""

    response: Response


class AckPassed(msgspec.Struct, frozen=True):
    """The ACK for a 2xx, which is the transaction user's (RFC 6026)."""

    ack: Request


class Failed(msgspec.Struct, frozen=True):
    """The transaction user must be told."""

    reason: FailureReason


MachineEvent = ResponsePassed | AckPassed | Failed


class SavedMachine(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transaction stands, for another process to go on from there."""

    state: str
    deadlines: dict[str, float]
    "By the timer's name; monotonic seconds."
    interval: float


StateT = TypeVar("StateT", bound=Enum)
InputT = TypeVar("InputT", bound=Enum)
ActionT = TypeVar("ActionT", bound=Enum)


class Machine(Generic[StateT, InputT, ActionT]):
    """One transaction, driven by a table: (state, input) to (action, next state).

    A subclass says what its actions do. Inputs that the table does not have for
    the present state change nothing; whether they are an error is for the caller
    of `_step` to say.
    """

    __slots__ = (
        "_data",
        "_deadlines",
        "_events",
        "_interval",
        "_outbox",
        "_reliable",
        "_table",
        "_terminated",
        "_timers",
        "state",
    )

    def __init__(
        self,
        table: Mapping[tuple[StateT, InputT], tuple[ActionT, StateT]],
        state: StateT,
        *,
        reliable: bool,
        timers: Timers,
    ) -> None:
        self.state = state
        self._terminated = type(state)["TERMINATED"]
        self._table = table
        self._reliable = reliable
        self._timers = timers
        self._deadlines: dict[InputT, float] = {}
        self._interval = timers.t1
        self._data = b""
        "What was sent last, and is sent again."
        self._outbox: list[bytes] = []
        self._events: list[MachineEvent] = []

    @property
    def terminated(self) -> bool:
        """Whether the transaction is over and may be forgotten."""
        return self.state is self._terminated

    def save(self) -> SavedMachine:
        """Where it stands. What is to be sent or told has been taken before."""
        return SavedMachine(
            state=self.state.name,
            deadlines={timer.name: at for timer, at in self._deadlines.items()},
            interval=self._interval,
        )

    def restore(self, saved: SavedMachine, data: bytes) -> None:
        """Go on from there; `data` is what was sent last."""
        states = {state.name: state for state, _ in self._table}
        timers = {timer.name: timer for _, timer in self._table}
        self.state = states[saved.state]
        self._deadlines = {timers[name]: at for name, at in saved.deadlines.items()}
        self._interval = saved.interval
        self._data = data

    def send_again(self) -> None:
        """Send what was sent last, whoever may have it already."""
        self._outbox.append(self._data)

    @property
    def patience(self) -> int:
        """Times T1 that the first response is waited for."""
        return self._timers.patience

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return min(self._deadlines.values(), default=None)

    def handle_timer(self, now: float) -> None:
        """Fire the timers that are due, the earliest first."""
        while self._deadlines:
            timer = min(self._deadlines, key=self._deadlines.__getitem__)
            if self._deadlines[timer] > now:
                return
            del self._deadlines[timer]
            self._step(timer, now)

    def data_to_send(self) -> list[bytes]:
        """The datagrams to send now; each is returned once."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> MachineEvent | None:
        """The next thing the transaction user must know, if there is any."""
        return self._events.pop(0) if self._events else None

    def _act(self, action: ActionT, now: float) -> None:
        raise NotImplementedError

    def _step(self, input_: InputT, now: float) -> ActionT | None:
        """Go where the table says, and return the action; None: nowhere."""
        entry = self._table.get((self.state, input_))
        if entry is None:
            return None
        action, state = entry
        if state is not self.state:
            self.state = state
            # A timer the table does not know in the new state has stopped.
            for timer in tuple(self._deadlines):
                if (state, timer) not in self._table:
                    del self._deadlines[timer]
        self._act(action, now)
        return action

    def _set(self, timer: InputT, seconds: float, now: float) -> None:
        self._deadlines[timer] = now + seconds

    def _back_off(self, timer: InputT, now: float, *, limit: float) -> None:
        """Set `timer` to twice the last interval, at most `limit` seconds."""
        self._interval = min(2 * self._interval, limit)
        # From now, not from when it was due: after a stall there is no burst.
        self._deadlines[timer] = now + self._interval

    def _fail(self, reason: FailureReason) -> None:
        self._events.append(Failed(reason))

    def _refuse(self, input_: InputT) -> LocalSipError:
        return LocalSipError(
            f"{input_.name} is not allowed in {self.state.name} of this transaction."
        )
