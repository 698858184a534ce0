"""Offer and answer for the one audio stream of one leg: RFC 3264, sans-IO.

Everything but the audio is refused with port 0, and the peer's m-lines keep their
number and order for as long as the leg lives.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self

from agent.model.media import (
    COMFORT_NOISE,
    Address,
    Codec,
    Direction,
    NegotiatedAudio,
    SrtpPolicy,
)
from agent.model.recording import RecordState
from agent.signalling.audio_media import (
    DEFAULT_EVENTS,
    DEFAULT_PTIME,
    NOISE,
    NOISE_RATE,
    TELEPHONE_EVENT,
    audio_section,
    check_stream,
    common_direction,
    event_in,
    first_of_ours,
    muxes_rtcp,
    noise_in,
    packet_time,
    reachable_host,
    record_preference,
    refused_section,
    rtcp_port_of,
    same_codec,
    those_offered,
)
from agent.signalling.media_security import (
    RTP,
    MediaSecurity,
    Protection,
    RandomBytes,
    offers_srtp,
)
from agent.signalling.negotiation_state import NegotiationState, Ours, Shape
from agent.signalling.not_acceptable import (
    INCOMPATIBLE_ADDRESS,
    INCOMPATIBLE_FORMAT,
    MEDIA_TYPE_UNAVAILABLE,
    NotAcceptableError,
)
from agent.signalling.payload_types import PayloadTypes
from agent.signalling.sdp import (
    Connection,
    Media,
    Origin,
    SdpError,
    SessionDescription,
    parse_sdp,
)

__all__ = ["NotAcceptableError", "OfferAnswer"]


_AUDIO_ALONE: Final = Shape((refused_section("audio", RTP, ("0",)),))
_NOTHING: Final = Ours()
"What was offered and agreed before there was anything."


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
        self._address = address
        self._session_id = session_id
        self._username = username
        self._codecs = tuple(codecs)
        self._secure = secure
        self._srtp = srtp
        self._clear_keys = clear_keys
        self._types = PayloadTypes()
        self._ptime = DEFAULT_PTIME
        self._noise = False
        self._version = 0
        self._sent = b""
        self._shape = _AUDIO_ALONE
        self._offered = self._agreed = _NOTHING
        self._security = MediaSecurity(
            secure=secure,
            policy=srtp,
            random_bytes=random_bytes,
            clear_keys=clear_keys,
        )
        self._told_record: RecordState | None = None
        self._answerable = False
        self._pending = False
        self.record: RecordState | None = None
        "What our descriptions tell a record-aware peer (RFC 7866 section 6.1.2)."
        self.record_preference = ""
        "What the peer would like (section 7.1.3): `on`, `off`, `pause`, or nothing."
        self._current: NegotiatedAudio | None = None

    @property
    def state(self) -> NegotiationState:
        """All of it, for `restore` in another process."""
        numbers, meanings = self._types.state
        protection, keys_spent = self._security.state
        return NegotiationState(
            address=self._address,
            session_id=self._session_id,
            username=self._username,
            codecs=self._codecs,
            secure=self._secure,
            srtp=self._srtp,
            clear_keys=self._clear_keys,
            numbers=numbers,
            meanings=meanings,
            ptime=self._ptime,
            noise=self._noise,
            description_version=self._version,
            sent=self._sent,
            shape=self._shape,
            offered=self._offered,
            agreed=self._agreed,
            protection=protection,
            keys_spent=keys_spent,
            answerable=self._answerable,
            pending=self._pending,
            current=self._current,
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
            address=state.address,
            session_id=state.session_id,
            codecs=state.codecs,
            username=state.username,
            secure=state.secure,
            srtp=state.srtp,
            clear_keys=state.clear_keys,
            random_bytes=random_bytes,
        )
        found._types.restore(state.numbers, state.meanings)
        found._security.restore(state.protection, spent=state.keys_spent)
        found._ptime = state.ptime
        found._noise = state.noise
        found._version = state.description_version
        found._sent = state.sent
        found._shape = state.shape
        found._offered = state.offered
        found._agreed = state.agreed
        found._answerable = state.answerable
        found._pending = state.pending
        found._current = state.current
        found.record = state.record
        found._told_record = state.told_record
        found.record_preference = state.record_preference
        return found

    @property
    def current(self) -> NegotiatedAudio | None:
        """What is agreed; None before the first answer."""
        return self._current

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
        return self._security.keys_spent

    def spend_key(self) -> None:
        """Let our next description have a new SRTP key, if the leg has one."""
        self._security.spend_key()

    def pass_on(self, audio: NegotiatedAudio) -> None:
        """Ask of the peer in later descriptions what another leg's peer asked of us.

        What passes from one to the other unaltered must suit its receiver.
        """
        self._ptime = audio.ptime
        self._noise = audio.comfort_noise is not None
        told = audio.codec
        self._codecs = tuple(
            replace(codec, parameters=told.parameters)
            if same_codec(codec, told)
            else codec
            for codec in self._codecs
        )

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
        protection = self._security.offer()
        numbered = self._types.numbered(codecs or self._stable_first())
        mux = self._current is None or self._current.rtcp_mux
        self._offered = Ours(numbered, direction, protection, mux)
        rates = dict.fromkeys(codec.clock_rate for codec in numbered)
        events = {
            rate: self._types.number(TELEPHONE_EVENT, rate, DEFAULT_EVENTS[rate])
            for rate in rates
        }
        noise = self._types.number(NOISE, NOISE_RATE, COMFORT_NOISE)
        self._answerable = self._pending = True
        return self._describe(
            audio_section(
                self._address.port,
                numbered,
                direction,
                events,
                noise=noise if self._noise and NOISE_RATE in rates else None,
                ptime=self._ptime,
                protection=protection,
                rtcp_mux=mux,
            )
        )

    def cancel_offer(self) -> None:
        """Our offer was refused: the session stays as it was (RFC 6141)."""
        if self._pending:
            self._pending = self._answerable = False
            # The peer need not have kept the refused description, so that the same
            # one under the same version could be taken for the one it has.
            self._sent = b""

    def receive_answer(self, body: bytes) -> NegotiatedAudio:
        """Take the answer to our last offer.

        May be called again with another answer to the same offer: what a 183 says
        is a preview of the 200, and forks answer each for itself. Raises
        NotAcceptableError.
        """
        if not self._answerable:
            raise NotAcceptableError("An answer came without an offer.")
        audio = self._receive_answer(body, self._offered)
        self._pending = False
        self._agreed = self._offered
        return audio

    def receive_answer_again(self, body: bytes) -> NegotiatedAudio:
        """Take the answer to what is agreed already, which we offered once more.

        Raises NotAcceptableError.
        """
        return self._receive_answer(body, self._agreed)

    def _receive_answer(self, body: bytes, ours: Ours) -> NegotiatedAudio:
        description = _parsed(body)
        if len(description.media) <= self._shape.audio:
            raise NotAcceptableError("The answer has too few media.")
        media = description.media[self._shape.audio]
        check_stream(media)
        codecs = those_offered(media, ours.codecs)
        if not codecs:
            raise NotAcceptableError(
                "The answer names no codec that was offered.",
                warn_code=INCOMPATIBLE_FORMAT,
            )
        protection = self._security.answered(media, ours.protection)
        audio = self._agree(
            description,
            media,
            codecs[0],
            ours.direction,
            mux=ours.rtcp_mux,
        )
        audio = replace(audio, others=codecs[1:], srtp=protection.keys)
        self._take(audio, protection, description, media)
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
        description = _parsed(body)
        index, media, audio = self._accept(description, direction or Direction.SENDRECV)
        codec = audio.codec
        current = self._current
        moved = current is not None and current.remote != audio.remote
        protection = self._security.answer(media, moved=moved)
        audio = replace(audio, srtp=protection.keys)
        self._shape = Shape(
            tuple(
                refused_section(other.kind, other.protocol, other.formats)
                for other in description.media
            ),
            index,
        )
        self._answerable = False
        self._agreed = Ours((codec,), audio.direction, protection, audio.rtcp_mux)
        self._take(audio, protection, description, media)
        ours = next(ours for ours in self._codecs if same_codec(ours, codec))
        event = audio.telephone_event
        section = audio_section(
            self._address.port,
            (replace(codec, parameters=ours.parameters),),
            audio.direction,
            {} if event is None else {codec.clock_rate: event},
            noise=audio.comfort_noise,
            ptime=self._ptime,
            protection=protection,
            rtcp_mux=audio.rtcp_mux,
        )
        return self._describe(section), audio

    def check(self, body: bytes | SessionDescription) -> None:
        """Raise NotAcceptableError if `answer` would; nothing changes."""
        self._accept(_parsed(body), Direction.SENDRECV)

    def _accept(
        self, description: SessionDescription, willing: Direction
    ) -> tuple[int, Media, NegotiatedAudio]:
        """The m-line of an offer to be answered, and what is agreed by it."""
        index, codec = self._choose(description)
        media = description.media[index]
        return index, media, self._agree(description, media, codec, willing)

    def _take(
        self,
        audio: NegotiatedAudio,
        protection: Protection,
        description: SessionDescription,
        media: Media,
    ) -> None:
        self._current = audio
        self.record_preference = record_preference(description, media)
        self._security.agreed(protection)
        for number, rtpmap in media.rtpmaps.items():
            self._types.learn(number, rtpmap.name, rtpmap.clock_rate)

    def _stable_first(self) -> tuple[Codec, ...]:
        """Our codecs, the one in use first."""
        if self._current is None:
            return self._codecs
        used = self._current.codec
        return tuple(
            sorted(self._codecs, key=lambda codec: not same_codec(codec, used))
        )

    def _choose(self, description: SessionDescription) -> tuple[int, Codec]:
        """The m-line to be answered, and the codec as the offer numbers it."""
        indices = list(range(len(description.media)))
        if self._current is not None and self._shape.audio in indices:
            indices.remove(self._shape.audio)
            indices.insert(0, self._shape.audio)
        else:
            # Some offer one stream twice, with and without encryption.
            indices.sort(key=lambda index: not offers_srtp(description.media[index]))
        reason = None
        for index in indices:
            media = description.media[index]
            try:
                check_stream(media)
                self._security.check(media)
            except NotAcceptableError as error:
                if media.kind == "audio":
                    reason = error
                continue
            codec = first_of_ours(media, self._stable_first())
            if codec is not None:
                return index, codec
            reason = NotAcceptableError(
                "The offer has no codec of ours.", warn_code=INCOMPATIBLE_FORMAT
            )
        raise reason or NotAcceptableError(
            "The offer has no audio.", warn_code=MEDIA_TYPE_UNAVAILABLE
        )

    def _agree(
        self,
        description: SessionDescription,
        media: Media,
        codec: Codec,
        willing: Direction,
        *,
        mux: bool = True,
    ) -> NegotiatedAudio:
        connection = description.connection_of(media)
        if connection is None:
            raise NotAcceptableError(
                "The description has no address.", warn_code=INCOMPATIBLE_ADDRESS
            )
        direction = common_direction(willing, description.direction_of(media).reversed)
        host = reachable_host(connection, self._address)
        if host is None:
            # RFC 3264 section 8.4: the hold of older telephones.
            direction = common_direction(direction, Direction.RECVONLY)
            host = self._current.remote.host if self._current else connection.host
        rtcp_mux = mux and muxes_rtcp(media)
        port = media.port if rtcp_mux else rtcp_port_of(media, connection)
        return NegotiatedAudio(
            remote=Address(host, media.port),
            remote_rtcp=Address(host, port),
            codec=codec,
            telephone_event=event_in(media, codec),
            comfort_noise=noise_in(media, codec),
            direction=direction,
            ptime=packet_time(media),
            rtcp_mux=rtcp_mux,
        )

    def _describe(self, audio: Media) -> bytes:
        self._told_record = self.record
        media = list(self._shape.refused)
        media[self._shape.audio] = audio
        if not self._sent or self._serialise(tuple(media)) != self._sent:
            self._version += 1
            self._sent = self._serialise(tuple(media))
        return self._sent

    def _serialise(self, media: tuple[Media, ...]) -> bytes:
        host = self._address.host
        address_type = "IP6" if ":" in host else "IP4"
        return SessionDescription(
            origin=Origin(
                self._username,
                str(self._session_id),
                str(self._version),
                address_type,
                host,
            ),
            connection=Connection(address_type, host),
            attributes=() if self.record is None else (("record", self.record.value),),
            media=media,
        ).to_bytes()


def _parsed(body: bytes | SessionDescription) -> SessionDescription:
    if isinstance(body, SessionDescription):
        return body
    try:
        return parse_sdp(body)
    except SdpError as error:
        raise NotAcceptableError(str(error)) from error
