"""The negotiation of one leg as it outlives the main process: sans-IO.

It holds SRTP keys: the document never leaves memory.
"""

from dataclasses import dataclass

import msgspec

from agent.model.media import Address, Codec, Direction, NegotiatedAudio, SrtpPolicy
from agent.model.recording import RecordState
from agent.signalling.media_security import PLAIN, Protection
from agent.signalling.sdp import Media


@dataclass(frozen=True, slots=True)
class Shape:
    """What may not change from one description of a leg to the next."""

    refused: tuple[Media, ...] = ()
    "All m-lines, with port 0; that at `audio` is a place-holder."
    audio: int = 0


@dataclass(frozen=True, slots=True)
class Ours:
    """What a description of ours says that its answer is measured by."""

    codecs: tuple[Codec, ...] = ()
    direction: Direction = Direction.SENDRECV
    protection: Protection = PLAIN
    rtcp_mux: bool = True


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """All that an `AudioStream` knows."""

    address: Address
    codecs: tuple[Codec, ...]
    secure: bool
    srtp: SrtpPolicy
    clear_keys: bool
    all_codecs: bool
    stand_in: str
    numbers: tuple[tuple[str, int, int], ...]
    "Encoding name, clock rate and payload type, …"
    meanings: tuple[tuple[int, str, int], ...]
    "… and what each payload type has meant last."
    ptime: int
    noise: bool
    offered: Ours
    agreed: Ours
    protection: Protection | None
    keys_spent: bool
    current: NegotiatedAudio | None

    def __repr__(self) -> str:
        return "StreamState(…)"


class DescriptionState(msgspec.Struct, frozen=True, kw_only=True):
    """All that an `OwnDescription` knows."""

    host: str
    session_id: int
    username: str
    version: int
    sent: bytes

    def __repr__(self) -> str:
        return "DescriptionState(…)"


class NegotiationState(msgspec.Struct, frozen=True, kw_only=True):
    """All that an `OfferAnswer` knows."""

    stream: StreamState
    own: DescriptionState
    shape: Shape
    answerable: bool
    pending: bool
    record: RecordState | None
    told_record: RecordState | None
    record_preference: str

    def __repr__(self) -> str:
        return "NegotiationState(…)"
