"""Offer and answer for the one audio stream of one leg: RFC 3264, sans-IO.

Everything but the audio is refused with port 0, and the peer's m-lines keep their
number and order for as long as the leg lives.
"""

import secrets
from collections.abc import Sequence
from typing import Final, Self

from agent.model.media import (
    Address,
    Codec,
    Direction,
    NegotiatedAudio,
    SrtpPolicy,
)
from agent.model.recording import RecordState
from agent.signalling.audio_media import record_preference, refused_section
from agent.signalling.audio_stream import AudioStream
from agent.signalling.media_security import RTP, RandomBytes, offers_srtp
from agent.signalling.negotiation_state import NegotiationState, Shape
from agent.signalling.not_acceptable import (
    MEDIA_TYPE_UNAVAILABLE,
    NotAcceptableError,
)
from agent.signalling.own_description import OwnDescription, parsed
from agent.signalling.sdp import Media, SessionDescription

__all__ = ["NotAcceptableError", "OfferAnswer"]


_AUDIO_ALONE: Final = Shape((refused_section("audio", RTP, ("0",)),))
"What was described before there was anything."


class OfferAnswer:
    """The negotiation of one leg, from its first description to its last.

    After an exception everything is as it was before the call.
    """

    def __init__(
        self,
        *,
        address: Address,
        session_id: int,
        codecs: Sequence[Codec],
        username: str = "-",
        secure: bool = False,
        srtp: SrtpPolicy = SrtpPolicy.OFFER,
        clear_keys: bool = False,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        """`address` is where our RTP arrives, RTCP one port above.

        `codecs` are in the order of our preference. `secure` tells whether nobody
        but the peer can read our descriptions, so that they may hold keys;
        `clear_keys` answers with keys all the same, if the peer has sent its own.
        """
        self._stream = AudioStream(
            address=address,
            codecs=codecs,
            secure=secure,
            srtp=srtp,
            clear_keys=clear_keys,
            random_bytes=random_bytes,
        )
        self._own = OwnDescription(
            host=address.host, session_id=session_id, username=username
        )
        self._shape = _AUDIO_ALONE
        self._told_record: RecordState | None = None
        self._answerable = False
        self._pending = False
        self.record: RecordState | None = None
        "What our descriptions tell a record-aware peer (RFC 7866 section 6.1.2)."
        self.record_preference = ""
        "What the peer would like (section 7.1.3): `on`, `off`, `pause`, or nothing."

    @property
    def state(self) -> NegotiationState:
        """All of it, for `restore` in another process."""
        return NegotiationState(
            stream=self._stream.state,
            own=self._own.state,
            shape=self._shape,
            answerable=self._answerable,
            pending=self._pending,
            record=self.record,
            told_record=self._told_record,
            record_preference=self.record_preference,
        )

    @classmethod
    def restore(
        cls,
        state: NegotiationState,
        *,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> Self:
        """A negotiation that goes on where another one stood."""
        found = cls(
            address=state.stream.address,
            session_id=state.own.session_id,
            codecs=state.stream.codecs,
        )
        found._stream = AudioStream.restore(state.stream, random_bytes=random_bytes)
        found._own = OwnDescription.restore(state.own)
        found._shape = state.shape
        found._answerable = state.answerable
        found._pending = state.pending
        found.record = state.record
        found._told_record = state.told_record
        found.record_preference = state.record_preference
        return found

    @property
    def current(self) -> NegotiatedAudio | None:
        """What is agreed; None before the first answer."""
        return self._stream.current

    @property
    def pending(self) -> bool:
        """Whether an offer of ours has no answer yet."""
        return self._pending

    @property
    def record_untold(self) -> bool:
        """Whether an offer is due because `record` has changed."""
        return self.record is not self._told_record

    @property
    def keys_spent(self) -> bool:
        """Whether an offer is due only because of `spend_key`."""
        return self._stream.keys_spent

    def spend_key(self) -> None:
        """Let our next description have a new SRTP key, if the leg has one."""
        self._stream.spend_key()

    def pass_on(self, audio: NegotiatedAudio) -> None:
        """Ask of the peer in later descriptions what another leg's peer asked of us.

        What passes from one to the other unaltered must suit its receiver.
        """
        self._stream.pass_on(audio)

    def offer(
        self,
        *,
        codecs: Sequence[Codec] | None = None,
        direction: Direction = Direction.SENDRECV,
    ) -> bytes:
        """Make an offer, the first or a later one.

        Without `codecs`, which are for this offer alone, the codec in use comes first,
        so that a hold does not change it. Raises NotAcceptableError with status 491
        while an earlier offer is unanswered, and if SRTP is required where its keys
        could be read.
        """
        if self._pending:
            raise NotAcceptableError("An offer is unanswered.", status=491)
        section = self._stream.offer(codecs, direction)
        self._answerable = self._pending = True
        return self._describe(section)

    def cancel_offer(self) -> None:
        """Our offer was refused: the session stays as it was (RFC 6141)."""
        if self._pending:
            self._pending = self._answerable = False
            self._own.forget()

    def receive_answer(self, body: bytes) -> NegotiatedAudio:
        """Take the answer to our last offer.

        May be called again with another answer to the same offer: what a 183 says
        is a preview of the 200, and forks answer each for itself. Raises
        NotAcceptableError.
        """
        if not self._answerable:
            raise NotAcceptableError("An answer came without an offer.")
        audio = self._receive_answer(body, again=False)
        self._pending = False
        return audio

    def receive_answer_again(self, body: bytes) -> NegotiatedAudio:
        """Take the answer to what is agreed already, which we offered once more.

        Raises NotAcceptableError.
        """
        return self._receive_answer(body, again=True)

    def _receive_answer(self, body: bytes, *, again: bool) -> NegotiatedAudio:
        description = parsed(body)
        if len(description.media) <= self._shape.audio:
            raise NotAcceptableError("The answer has too few media.")
        media = description.media[self._shape.audio]
        audio = self._stream.receive_answer(description, media, again=again)
        self.record_preference = record_preference(description, media)
        return audio

    def answer(
        self, body: bytes | SessionDescription, *, direction: Direction | None = None
    ) -> tuple[bytes, NegotiatedAudio]:
        """Answer the peer's offer with one codec, and telephone events if offered.

        The codec is the one in use, if it is offered again, else the first of ours
        that is. `direction` is what we are willing to do, by default all that the
        peer is. Raises NotAcceptableError; its status is 491 while an offer of ours
        is unanswered.
        """
        if self._pending:
            raise NotAcceptableError("Offers have crossed.", status=491)
        description = parsed(body)
        index = self._choose(description)
        media = description.media[index]
        willing = direction or Direction.SENDRECV
        section, audio = self._stream.answer(description, media, willing)
        self.record_preference = record_preference(description, media)
        self._shape = Shape(
            tuple(
                refused_section(other.kind, other.protocol, other.formats)
                for other in description.media
            ),
            index,
        )
        self._answerable = False
        return self._describe(section), audio

    def check(self, body: bytes | SessionDescription) -> None:
        """Raise NotAcceptableError if `answer` would; nothing changes."""
        description = parsed(body)
        index = self._choose(description)
        self._stream.check(description, description.media[index])

    def _choose(self, description: SessionDescription) -> int:
        """The m-line to be answered."""
        indices = list(range(len(description.media)))
        if self.current is not None and self._shape.audio in indices:
            indices.remove(self._shape.audio)
            indices.insert(0, self._shape.audio)
        else:
            # Some offer one stream twice, with and without encryption.
            indices.sort(key=lambda index: not offers_srtp(description.media[index]))
        reason = None
        for index in indices:
            media = description.media[index]
            try:
                self._stream.choose(media)
            except NotAcceptableError as error:
                if media.kind == "audio":
                    reason = error
            else:
                return index
        raise reason or NotAcceptableError(
            "The offer has no audio.", warn_code=MEDIA_TYPE_UNAVAILABLE
        )

    def _describe(self, audio: Media) -> bytes:
        self._told_record = self.record
        media = list(self._shape.refused)
        media[self._shape.audio] = audio
        told = () if self.record is None else (("record", self.record.value),)
        return self._own.write(tuple(media), told)
