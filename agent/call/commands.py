"""What a call's state machine asks call control to do."""

from dataclasses import dataclass

from agent.model.call import EndCause, Outcome
from agent.model.recording import NoticeEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Refuse the first party, which is not answered yet."""

    status: int
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Tell the first party that its target rings."""

    leg: str
    heard: str = ""
    "The leg, if one, that sends audio before it answers."


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEarly:
    """Let the first party hear us before it is answered, if its path can do that."""

    leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer the first party."""

    leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Ring a target on a new leg."""

    leg: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Clear a leg, whatever its state."""

    leg: str
    q850: int
    "For the Reason header (RFC 3326): a Q.850 cause, or a SIP status from 200 on."


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play a sound to legs; a notice must be reported when sent to its end.

    A notice is proven by what was sent to the last of its legs.
    """

    legs: tuple[str, ...]
    sound: str
    loop: bool = False
    notice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Let two legs hear each other."""

    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell a transferor how far its transfer is (RFC 3515 section 2.4.4)."""

    leg: str
    status: int
    "Of the target's response; a final one is the last that is told."


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecording:
    """Record nothing from now on, or still nothing, until it is resumed."""

    by: str
    "Who asked for it; never a name."
    reason: str
    "Why, in one word, if that was said."
    seconds: float
    "After which it will be resumed in any case."


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRecording:
    """Record again."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRecording:
    """Begin a segment now: this is the moment of the answer."""

    segment: int
    customer: str
    officer: str
    notices: tuple[NoticeEvidence, ...]
    paused: PauseRecording | None = None
    "The pause in which it begins, if in one."


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRecording:
    """End the open segment."""

    cause: EndCause
    discard: bool = False
    "Whether nothing of it is kept: it should never have begun."


@dataclass(frozen=True, slots=True, kw_only=True)
class CountMissing:
    """What is said from now on is in no recording, and should be; or no longer so."""

    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The call goes on unrecorded by policy: never in silence."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The call has ended; its ledger row is due."""

    outcome: Outcome
    cause: EndCause | None
    sip_status: int | None


Command = (
    Refuse
    | Ring
    | OpenEarly
    | Answer
    | Invite
    | HangUp
    | Play
    | Bridge
    | Notify
    | OpenRecording
    | PauseRecording
    | ResumeRecording
    | CloseRecording
    | CountMissing
    | Alarm
    | Close
)
