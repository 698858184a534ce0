"""What a recording session's state machine asks for, beside what calls ask for."""

from dataclasses import dataclass
from enum import StrEnum

from agent.call import commands as call
from agent.call.commands import PauseRecording
from agent.call.siprec.situation import Situation
from agent.model.recording import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer the INVITE: media is bound, and tapped if it is to be recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSegment:
    """Begin a segment now, of what is told."""

    number: int
    situation: Situation
    legs: tuple[str, ...]
    "Names of its streams, in the order of its legs."
    channels: tuple[Channel, ...]
    paused: PauseRecording | None
    "The pause in which it begins, if in one."


@dataclass(frozen=True, slots=True, kw_only=True)
class AddStream:
    """A stream joins the open segment as its next leg."""

    leg: str
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Streams of the open segment of which nothing is to be kept from now on.

    Of those not named what comes is kept again.
    """

    inactive: frozenset[str]
    "Their client sends nothing on them, or they are gone."
    held: frozenset[str]
    "Whoever was heard on them is on hold."


class Withheld(StrEnum):
    """Why what is said may not be recorded."""

    EXEMPT = "exempt"
    "Somebody who is there may never be."
    NOTICE = "notice"
    "Nothing shows that they were told."
    OUTSIDERS = "outsiders"
    "The officers have left, and others talk on."
    NO_OFFICER = "no-officer"
    "None is known to be there yet: a queue, or a menu."


@dataclass(frozen=True, slots=True, kw_only=True)
class Withhold:
    """Say that what is said from now on is not recorded, and is not meant to be."""

    reason: Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Say that no segment begins for a while: too many did, and ended at once."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSnapshot:
    """Have the client tell all it knows: what it told in parts is not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End the recording session; the call it records goes on."""

    q850: int


Command = (
    call.Refuse
    | Answer
    | OpenSegment
    | AddStream
    | Silence
    | call.CloseRecording
    | call.CountMissing
    | call.PauseRecording
    | call.ResumeRecording
    | call.Alarm
    | Withhold
    | Wait
    | AskSnapshot
    | HangUp
    | call.Close
)
