"""A recording session as it outlives the main process: explicit, versioned, sans-IO.

Each struct is what one class of this package needs to go on where it stopped, as in
`agent.call.state`.
"""

import msgspec

from agent.call.commands import PauseRecording
from agent.call.siprec.commands import Withheld
from agent.call.siprec.documents import Document
from agent.call.siprec.parties import Parties
from agent.call.siprec.spans import Span
from agent.call.state import STATE_VERSION, LegState, SegmentsState, SeriesState
from agent.model.media import Address
from agent.model.recording import Channel
from agent.signalling.siprec.metadata_state import KnownMetadata
from agent.signalling.siprec.negotiation import RecordingState


class SnapshotsState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the client is to be asked for all it knows."""

    asked: int = 0
    last: float | None = None
    deadline: float | None = None


class ChurnState(msgspec.Struct, frozen=True, kw_only=True):
    """How many segments may yet begin."""

    left: float
    at: float | None = None


class MachineState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The life of a recording session, once it is answered."""

    segments: SegmentsState
    snapshots: SnapshotsState = SnapshotsState()
    churn: ChurnState
    crowded_until: float | None = None
    waits_until: float | None = None
    untold_until: float | None = None
    acknowledged: bool = False
    withheld: Withheld | None = None
    exempt: bool = False
    caller: str = ""
    officers: frozenset[str] = frozenset()
    legs: dict[str, Channel] = {}
    inactive: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return "MachineState(…)"


class StreamState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stream that has media here."""

    name: str
    index: int
    media_id: str
    local: Address
    label: str = ""
    media_open: bool = True
    gone: bool = False
    codecs_seen: dict[str, str] = {}
    agreed_at: float | None = None
    strange_payload_types: tuple[int, ...] = ()
    media_changes: int = 0

    def __repr__(self) -> str:
        return f"StreamState(name={self.name!r}, …)"


class StreamsState(msgspec.Struct, frozen=True, kw_only=True):
    """All streams of a session, and what SDP has agreed of them."""

    streams: tuple[StreamState, ...]
    named: int
    "How many were given names."
    negotiation: RecordingState

    def __repr__(self) -> str:
        return "StreamsState(…)"


class KnowledgeState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the client has told of the call, and what was made of it."""

    metadata: KnownMetadata
    documents: tuple[Document, ...] = ()
    parties: Parties | None = None
    speakers: dict[str, frozenset[str]] = {}
    flawed: bool = False
    behind: bool = False
    tolerated: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "KnowledgeState(…)"


class SessionCaptureState(SeriesState, frozen=True, kw_only=True, omit_defaults=True):
    """The segments of a recording session, and what is kept of the open one."""

    legs: tuple[str, ...] = ()
    "Names of its streams, by their index."
    inactive: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    paused: PauseRecording | None = None
    spans: tuple[Span, ...] = ()


class RecordingCallState(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="recording"
):
    """One recording session that is up."""

    call_id: str
    rules: str
    "Name of the `[[siprec]]` entry that it goes by."
    leg: LegState
    "That of the client; its media is in the streams."
    invite: bytes
    machine: MachineState
    streams: StreamsState
    knowledge: KnowledgeState
    capture: SessionCaptureState
    told_answered: bool = False
    "Whether it was told that an officer talks with somebody."
    waits_since_ns: int | None = None
    "Since when nothing is recorded yet, because nobody has said who talks."
    awaits_answer: bool = False
    "We offered: the answer comes with the ACK."
    quiet: frozenset[str] = frozenset()
    version: int = msgspec.field(default_factory=lambda: STATE_VERSION)

    @property
    def emergency(self) -> bool:
        """Never: the call that is recorded goes on whatever becomes of us."""
        return False

    def __repr__(self) -> str:
        return f"RecordingCallState(call_id={self.call_id!r}, …)"
