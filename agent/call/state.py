"""An established call as it outlives the main process: explicit, versioned, sans-IO.

Each struct is what one class of this package needs to go on where it stopped; `state`
makes it and `restore` takes it, beside the class. What is only of use before two
parties talk is no part of it: a call that is being set up is not kept, but cleared.
Peers, routes and sounds stand here by their names; the next process may know them
otherwise.
"""

from typing import Final

import msgspec

from agent.call.commands import PauseRecording
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.media import Address, Direction
from agent.model.recording import NoticeEvidence, SegmentEnd
from agent.signalling.negotiation_state import NegotiationState
from agent.signalling.sip.flow import Flow

STATE_VERSION: Final = 3
_VERSION: Final = msgspec.field(default_factory=lambda: STATE_VERSION)
"A made default is never left out of a document."


class HuntState(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    repr_omit_defaults=True,
):
    """A search for somebody who answers."""

    rounds: tuple[tuple[str, ...], ...] = ()
    "Those not yet rung."
    ring_timeout: float | None = None
    alternatives: dict[str, tuple[str, ...]] = {}
    "Of each leg that rings."
    targets: dict[str, str] = {}
    "Whom each of them rings."
    tried: frozenset[str] = frozenset()
    redirections: int = 0
    status: int = 0
    deadline: float | None = None


class PauseState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pause of the recording, which ends by itself."""

    since: float = 0.0
    deadline: float | None = None
    order: PauseRecording | None = None


class SegmentsState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a call is recorded."""

    number: int = 0
    discarded: int = 0
    forbidden: bool = False
    failed: bool = False
    kept: bool = False
    unrecorded: bool = False
    missing: bool = False
    wanted: bool = True
    is_open: bool = False
    deadline: float | None = None
    pause: PauseState = PauseState()


class NoticesState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was to be announced, and what has been."""

    names: tuple[str, ...] = ()
    played: tuple[NoticeEvidence, ...] = ()


class ConversationState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Two parties who talk."""

    state: str
    "Name of a member of agent.call.conversation_states.State."
    talkers: tuple[str, ...]
    officers: frozenset[str] = frozenset()
    announced: frozenset[str] = frozenset()
    exempt: frozenset[str] = frozenset()
    deadline: float | None = None
    listener: str = ""
    hunt: HuntState = HuntState()
    target_is_staff: bool = False
    target_is_exempt: bool = False
    transferor: str = ""
    held: bool = False


class SessionState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The life of a call, from `talking` on."""

    partner: str
    legs_named: int
    "How many names of legs were given out."
    notices: NoticesState
    segments: SegmentsState
    conversation: ConversationState


class LegState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leg."""

    name: str
    session: str
    flow: Flow
    media_id: str
    peer: str = ""
    target: str = ""
    number: str = ""
    from_user: str = ""
    local: Address | None = None
    negotiation: NegotiationState | None = None
    local_description: bytes = b""
    awaits_answer: bool = False
    asked: Direction = Direction.SENDRECV
    offered: Direction = Direction.SENDRECV
    wanted: Direction | None = None
    rekey: bool = False
    media_open: bool = False
    can: tuple[str, ...] | None = None
    gone: bool = False
    agreed_at: float | None = None
    strange_payload_types: tuple[int, ...] = ()
    media_changes: int = 0
    codecs_seen: dict[str, str] = {}
    record_aware: bool = False
    record_preference: str = ""

    def __repr__(self) -> str:
        return f"LegState(name={self.name!r}, …)"


class PairState(msgspec.Struct, frozen=True, kw_only=True):
    """Two joined legs that are kept in codecs which can be relayed."""

    first: str
    target: str
    tried: tuple[str, ...] = ()


class PlayState(msgspec.Struct, frozen=True, kw_only=True):
    """One sound on its way to a leg."""

    token: int
    leg: str
    legs: tuple[str, ...]
    "All that hear it."
    sound: str
    loop: bool
    notice: bool


class PlayingState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is being played."""

    plays: tuple[PlayState, ...] = ()
    unplayed: frozenset[str] = frozenset()
    evidence: NoticeEvidence | None = None


class SeriesState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The segments of a call or a recording session, one after the other."""

    segments: tuple[str, ...] = ()
    "Recording ids, the oldest first."
    open: bool = False
    "Whether the last one is."
    interrupted: bool = False
    "Whether capture of any segment broke."
    recorded: tuple[int, int | None] = (0, None)
    "The state of its RecordedTime."
    missing: tuple[int, int | None] = (0, None)
    "Likewise, of the time that should have been recorded."


class CaptureState(SeriesState, frozen=True, kw_only=True, omit_defaults=True):
    """The segments of a call, and who is in them."""

    group: str
    legs: tuple[str, str] | None = None
    "The customer's and the officer's, of the last one."
    held: bool = False
    paused: PauseRecording | None = None


class CallState(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="call"
):
    """One established call."""

    call_id: str
    route: str
    direction: CallDirection
    caller: str
    called: str
    invite: bytes
    "That of the party that rang, as it came."
    legs: tuple[LegState, ...]
    "That of the party that rang is the first, even if it has left."
    session: SessionState
    capture: CaptureState
    playing: PlayingState = PlayingState()
    pair: PairState | None = None
    exempt: bool = False
    emergency: bool = False
    referral: str = ""
    "The REFER that is being carried out."
    newcomers: int = 0
    quiet: frozenset[str] = frozenset()
    version: int = _VERSION

    def __repr__(self) -> str:
        return f"CallState(call_id={self.call_id!r}, …)"


class DirectCallState(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="direct"
):
    """One established call whose media goes past us."""

    call_id: str
    route: str
    direction: CallDirection
    invite: bytes
    first: LegState
    second: LegState
    emergency: bool = False
    awaits_answer: bool = False
    version: int = _VERSION

    def __repr__(self) -> str:
        return f"DirectCallState(call_id={self.call_id!r}, …)"


class EndingState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call that is over, and whose ledger row is not closed yet."""

    call_id: str
    outcome: Outcome
    ended_utc_ns: int
    cause: EndCause | None = None
    sip_status: int | None = None
    segments: tuple[str, ...] = ()
    interrupted: bool = False
    missing_ms: int = 0
    version: int = _VERSION


class SegmentState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recording that is being captured, or waits to be sealed.

    Its journal key is kept apart, where it can be zeroed.
    """

    recording_id: str
    call_id: str
    key_id: bytes
    recipient: str
    gap: bool = False
    end: SegmentEnd | None = None
    "Once its end was told to the worker."
    closed: bool | None = None
    "Whether its journal is whole, once that is known."
    discarded: bool = False
    "Whether nothing of it is to be kept."
    version: int = _VERSION
