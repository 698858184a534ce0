"""One leg of a call: a SIP session, its negotiation, its place in the media worker."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from agent.call.codecs import names_of
from agent.call.config import PeerConfig
from agent.call.state import LegState
from agent.model.media import (
    Address,
    Codec,
    Direction,
    Latch,
    NegotiatedAudio,
    SrtpPolicy,
)
from agent.model.recording import RecordState
from agent.signalling.abilities import read_description
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sdp import SessionDescription
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Message

RECORD_AWARE: Final = "record-aware"
"Option tag of RFC 7866 section 11.1.2."


@dataclass(slots=True, kw_only=True)
class Leg:
    """What call control knows of one leg.

    `media_id` names it in the media worker; it is unique on the host, while `name`
    (`a`, `b1`, …) is unique in its call only.
    """

    name: str
    session: str
    "Session id in the user agent core; empty until the INVITE is sent."
    flow: Flow
    peer: PeerConfig | None
    "The configured peer behind it, if it is one."
    media_id: str
    target: str = ""
    "The URI that was rung; empty for the party that rang."
    number: str = field(default="", repr=False)
    "Who is on it: as tagged, as dialled, or as identified since."
    from_user: str = field(default="", repr=False)
    "User part of the URI that stands for it in the dialog, as last seen."
    local: Address | None = None
    "Where its RTP arrives here; None while it has no media."
    negotiation: OfferAnswer | None = None
    local_description: bytes = field(default=b"", repr=False)
    "What we told the peer last, for repeating it in a 2xx after a 183; has keys."
    described: SessionDescription | None = field(default=None, repr=False)
    "What its INVITE offers, once somebody has read it, until it is answered."
    awaits_answer: bool = False
    "We offered in a 2xx: the answer comes with the ACK."
    asked: Direction = Direction.SENDRECV
    "What its peer wants of its own accord, seen from the agent: less while it holds."
    offered: Direction = Direction.SENDRECV
    "What it was offered last."
    wanted: Direction | None = None
    "What is to be offered as soon as the offer under way is done."
    rekey: bool = False
    "A new SRTP key of ours is to be offered, likewise."
    record_aware: bool = False
    "Whether its peer is to be told of the recording in SDP (RFC 7866 section 6.1.2)."
    record_preference: str = ""
    "Whether its peer would like to be recorded, as it said last."
    media_open: bool = False
    can: tuple[str, ...] | None = None
    "Codecs its peer named last; None if it has not said."
    gone: bool = False
    agreed_at: float = -math.inf
    "When an offer/answer exchange was last completed, in monotonic seconds."
    strange_payload_types: tuple[int, ...] = ()
    "Codecs heard on it that were never agreed."
    media_changes: int = 0
    "How often its media changed without signalling."
    codecs_seen: dict[str, str] = field(default_factory=dict)
    "Payload type to encoding name, all that were ever agreed, for the journal."

    @property
    def state(self) -> LegState:
        """All of it, for `restore` in another process."""
        return LegState(
            name=self.name,
            session=self.session,
            flow=self.flow,
            media_id=self.media_id,
            peer=self.peer.name if self.peer is not None else "",
            target=self.target,
            number=self.number,
            from_user=self.from_user,
            local=self.local,
            negotiation=self.negotiation.state if self.negotiation else None,
            local_description=self.local_description,
            awaits_answer=self.awaits_answer,
            asked=self.asked,
            offered=self.offered,
            wanted=self.wanted,
            rekey=self.rekey,
            media_open=self.media_open,
            can=self.can,
            gone=self.gone,
            agreed_at=None if self.agreed_at == -math.inf else self.agreed_at,
            strange_payload_types=self.strange_payload_types,
            media_changes=self.media_changes,
            codecs_seen=self.codecs_seen,
            record_aware=self.record_aware,
            record_preference=self.record_preference,
        )

    @classmethod
    def restore(cls, state: LegState, peer: PeerConfig | None) -> Self:
        """A leg that goes on where another one stood; `peer` is who has its name."""
        kept = state.negotiation
        return cls(
            name=state.name,
            session=state.session,
            flow=state.flow,
            peer=peer,
            media_id=state.media_id,
            target=state.target,
            number=state.number,
            from_user=state.from_user,
            local=state.local,
            negotiation=None if kept is None else OfferAnswer.restore(kept),
            local_description=state.local_description,
            awaits_answer=state.awaits_answer,
            asked=state.asked,
            offered=state.offered,
            wanted=state.wanted,
            rekey=state.rekey,
            media_open=state.media_open,
            can=state.can,
            gone=state.gone,
            agreed_at=-math.inf if state.agreed_at is None else state.agreed_at,
            strange_payload_types=state.strange_payload_types,
            media_changes=state.media_changes,
            codecs_seen=dict(state.codecs_seen),
            record_aware=state.record_aware,
            record_preference=state.record_preference,
        )

    @property
    def audio(self) -> NegotiatedAudio | None:
        """What is agreed, if anything is."""
        return self.negotiation.current if self.negotiation is not None else None

    @property
    def trusted(self) -> bool:
        """Whether identities may be told to, and believed of, this leg's peer."""
        return self.peer is not None and self.peer.trusted

    @property
    def is_asked(self) -> bool:
        """Whether an offer of ours is under way, or an answer is due in an ACK."""
        asked = self.negotiation is not None and self.negotiation.pending
        return asked or self.awaits_answer

    @property
    def latch(self) -> Latch:
        """Whence its RTP is believed."""
        return Latch(self.peer.latch) if self.peer is not None else Latch.ADDRESS

    @property
    def srtp(self) -> SrtpPolicy:
        """Whether its media is encrypted."""
        return SrtpPolicy(self.peer.srtp) if self.peer else SrtpPolicy.OFFER

    def note_answer(self, answered: Direction) -> None:
        """Learn from the peer's answer whether it wants less than it was offered."""
        if self.offered is Direction.SENDRECV:
            self.asked = answered

    def direction_beside(self, other: "Leg") -> Direction:
        """What it should be offered while it talks with `other`: who holds is heard."""
        wanted = other.asked.reversed
        sends = self.asked.sends and wanted.sends
        receives = self.asked.receives and wanted.receives
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE

    def begin_negotiation(
        self,
        told: Address,
        session_id: int,
        codecs: Sequence[Codec],
        *,
        exempt: bool = False,
    ) -> OfferAnswer:
        """Open the offer/answer state of this leg; the peer is `told` our address.

        An `exempt` call is refused neither for want of SRTP nor because of it.
        """
        self.negotiation = self._negotiation(told, session_id, codecs, exempt=exempt)
        if self.record_aware:
            self.negotiation.record = RecordState.OFF
        return self.negotiation

    def _negotiation(
        self, told: Address, session_id: int, codecs: Sequence[Codec], *, exempt: bool
    ) -> OfferAnswer:
        return OfferAnswer(
            address=told,
            session_id=session_id,
            codecs=codecs,
            secure=self.flow.transport == "tls",
            srtp=SrtpPolicy.OFFER if exempt else self.srtp,
            clear_keys=exempt,
        )

    def learn_abilities(self, message: Message) -> None:
        """See whether its peer understands what it is told of the recording.

        RFC 7866 section 6.1.1: it says so in its INVITE, or in its response to ours.
        """
        if RECORD_AWARE in message.supported:
            self.record_aware = True

    def tell_recording(self, state: RecordState) -> bool:
        """Tell a record-aware peer; returns whether that takes an offer now."""
        negotiation = self.negotiation
        if not self.record_aware or negotiation is None or self.gone:
            return False
        negotiation.record = state
        return negotiation.record_untold

    def read(self, offer: bytes) -> SessionDescription | None:
        """What its INVITE offers, read but once; None if it is no description."""
        if self.described is None:
            self.described = read_description(offer)
        return self.described

    def can_answer(self, offer: bytes, codecs: Sequence[Codec]) -> bool:
        """Whether an exempt call's offer has audio that we could relay."""
        host = self.peer.media_address if self.peer is not None else ""
        told = Address(host or self.flow.local.host, 9)
        try:
            self._negotiation(told, 0, codecs, exempt=True).check(
                self.read(offer) or offer
            )
        except NotAcceptableError:
            return False
        return True

    def note_preference(self) -> bool:
        """Remember whether the peer would like to be recorded; is it new?"""
        told = "" if self.negotiation is None else self.negotiation.record_preference
        changed = told != self.record_preference
        self.record_preference = told
        return changed

    def note_codecs(self, audio: NegotiatedAudio) -> bool:
        """Remember what payload types mean; tells whether anything is new."""
        seen = self.codecs_seen | names_of(audio)
        changed = seen != self.codecs_seen
        self.codecs_seen = seen
        return changed
