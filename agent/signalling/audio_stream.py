"""One audio stream of a leg, from its first description to its last: RFC 3264, sans-IO.

It reads the peer's m-line and writes ours; which m-line that is, and what stands around
it, is for others to know.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from agent.model.media import (
    COMFORT_NOISE,
    Address,
    Codec,
    Direction,
    NegotiatedAudio,
    SrtpPolicy,
)
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
    rtcp_port_of,
    same_codec,
    those_offered,
)
from agent.signalling.media_security import MediaSecurity, Protection, RandomBytes
from agent.signalling.negotiation_state import Ours, StreamState
from agent.signalling.not_acceptable import (
    INCOMPATIBLE_ADDRESS,
    INCOMPATIBLE_FORMAT,
    NotAcceptableError,
)
from agent.signalling.own_description import connection_of
from agent.signalling.payload_types import PayloadTypes
from agent.signalling.sdp import Media, SessionDescription


class AudioStream:
    """What is offered and agreed on one m-line.

    After an exception everything is as it was before the call.
    """

    def __init__(
        self,
        *,
        address: Address,
        codecs: Sequence[Codec],
        secure: bool = False,
        srtp: SrtpPolicy = SrtpPolicy.OFFER,
        clear_keys: bool = False,
        all_codecs: bool = False,
        stand_in: str = "",
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        """`address` is where our RTP arrives, RTCP one port above.

        `codecs` are in the order of our preference. `secure` tells whether nobody
        but the peer can read our descriptions, so that they may hold keys;
        `clear_keys` answers with keys all the same, if the peer has sent its own.
        With `all_codecs` we answer with all that we know, in the order of the offer:
        who copies a call's media sends them as they are. `stand_in` is the host that
        the peer's media come from if it names none that we could send to.
        """
        self.address = address
        self._codecs = tuple(codecs)
        self._secure = secure
        self._srtp = srtp
        self._clear_keys = clear_keys
        self._all_codecs = all_codecs
        self._stand_in = stand_in
        self._types = PayloadTypes()
        self._ptime = DEFAULT_PTIME
        self._noise = False
        self._offered = self._agreed = Ours()
        self._security = MediaSecurity(
            secure=secure,
            policy=srtp,
            random_bytes=random_bytes,
            clear_keys=clear_keys,
        )
        self._current: NegotiatedAudio | None = None

    @property
    def state(self) -> StreamState:
        """All of it, for `restore` in another process."""
        numbers, meanings = self._types.state
        protection, keys_spent = self._security.state
        return StreamState(
            address=self.address,
            codecs=self._codecs,
            secure=self._secure,
            srtp=self._srtp,
            clear_keys=self._clear_keys,
            all_codecs=self._all_codecs,
            stand_in=self._stand_in,
            numbers=numbers,
            meanings=meanings,
            ptime=self._ptime,
            noise=self._noise,
            offered=self._offered,
            agreed=self._agreed,
            protection=protection,
            keys_spent=keys_spent,
            current=self._current,
        )

    @classmethod
    def restore(
        cls, state: StreamState, *, random_bytes: RandomBytes = secrets.token_bytes
    ) -> Self:
        """A stream that goes on where another one stood."""
        found = cls(
            address=state.address,
            codecs=state.codecs,
            secure=state.secure,
            srtp=state.srtp,
            clear_keys=state.clear_keys,
            all_codecs=state.all_codecs,
            stand_in=state.stand_in,
            random_bytes=random_bytes,
        )
        found._types.restore(state.numbers, state.meanings)
        found._security.restore(state.protection, spent=state.keys_spent)
        found._ptime, found._noise = state.ptime, state.noise
        found._offered, found._agreed = state.offered, state.agreed
        found._current = state.current
        return found

    @property
    def current(self) -> NegotiatedAudio | None:
        """What is agreed; None before the first answer."""
        return self._current

    @property
    def keys_spent(self) -> bool:
        """Whether our next description will have a new SRTP key."""
        return self._security.keys_spent

    def spend_key(self) -> None:
        """Let our next description have a new SRTP key, if there is one."""
        self._security.spend_key()

    def pass_on(self, audio: NegotiatedAudio) -> None:
        """Ask of the peer what another leg's peer asked of us."""
        self._ptime = audio.ptime
        self._noise = audio.comfort_noise is not None
        told = audio.codec
        self._codecs = tuple(
            replace(codec, parameters=told.parameters)
            if same_codec(codec, told)
            else codec
            for codec in self._codecs
        )

    # -- our offer --------------------------------------------------------------

    def offer(self, codecs: Sequence[Codec] | None, direction: Direction) -> Media:
        """Our m-line in an offer.

        Without `codecs` the one in use comes first, so that a hold does not change it.
        Raises NotAcceptableError if SRTP is required where its keys could be read.
        """
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
        return audio_section(
            self.address.port,
            numbered,
            direction,
            events,
            noise=noise if self._noise and NOISE_RATE in rates else None,
            ptime=self._ptime,
            protection=protection,
            rtcp_mux=mux,
        )

    def receive_answer(
        self, description: SessionDescription, media: Media, *, again: bool = False
    ) -> NegotiatedAudio:
        """Take the peer's m-line in the answer to our last offer.

        `again`: in the answer to what is agreed already, which we offered once more.
        Raises NotAcceptableError.
        """
        ours = self._agreed if again else self._offered
        check_stream(media)
        codecs = those_offered(media, ours.codecs)
        if not codecs:
            raise NotAcceptableError(
                "The answer names no codec that was offered.",
                warn_code=INCOMPATIBLE_FORMAT,
            )
        protection = self._security.answered(media, ours.protection)
        audio = self._agree(
            description, media, codecs, ours.direction, mux=ours.rtcp_mux
        )
        audio = replace(audio, srtp=protection.keys)
        self._agreed = ours
        self._take(audio, protection, media)
        return audio

    # -- the peer's offer -------------------------------------------------------

    def check(
        self,
        description: SessionDescription,
        media: Media,
        willing: Direction = Direction.SENDRECV,
    ) -> NegotiatedAudio:
        """What `answer` would agree, its keys apart; nothing changes.

        Raises NotAcceptableError.
        """
        return self._agree(description, media, self.choose(media), willing)

    def choose(self, media: Media) -> tuple[Codec, ...]:
        """The codecs of an offered m-line that we take, as it numbers them.

        The one in use, if it is offered again, else the first of ours that is.
        Raises NotAcceptableError where there is none, or where keys forbid it.
        """
        check_stream(media)
        self._security.check(media)
        if self._all_codecs:
            codecs = those_offered(media, self._codecs)
        else:
            first = first_of_ours(media, self._stable_first())
            codecs = () if first is None else (first,)
        if not codecs:
            raise NotAcceptableError(
                "The offer has no codec of ours.", warn_code=INCOMPATIBLE_FORMAT
            )
        return codecs

    def answer(
        self, description: SessionDescription, media: Media, willing: Direction
    ) -> tuple[Media, NegotiatedAudio]:
        """Our m-line in the answer to an offered one, and what is agreed by it.

        Telephone events stand in it if they are offered. `willing` is what we are
        ready to do. Raises NotAcceptableError.
        """
        audio = self.check(description, media, willing)
        current = self._current
        moved = current is not None and current.remote != audio.remote
        protection = self._security.answer(media, moved=moved)
        audio = replace(audio, srtp=protection.keys)
        codecs = (audio.codec, *audio.others)
        self._agreed = Ours(codecs, audio.direction, protection, audio.rtcp_mux)
        self._take(audio, protection, media)
        event = audio.telephone_event
        section = audio_section(
            self.address.port,
            tuple(map(self._as_ours, codecs)),
            audio.direction,
            {} if event is None else {audio.codec.clock_rate: event},
            noise=audio.comfort_noise,
            ptime=self._ptime,
            protection=protection,
            rtcp_mux=audio.rtcp_mux,
        )
        return section, audio

    def _as_ours(self, codec: Codec) -> Codec:
        """The codec as we want to receive it."""
        ours = next(ours for ours in self._codecs if same_codec(ours, codec))
        return replace(codec, parameters=ours.parameters)

    def _take(
        self, audio: NegotiatedAudio, protection: Protection, media: Media
    ) -> None:
        self._current = audio
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

    def _agree(
        self,
        description: SessionDescription,
        media: Media,
        codecs: Sequence[Codec],
        willing: Direction,
        *,
        mux: bool = True,
    ) -> NegotiatedAudio:
        connection = description.connection_of(media)
        if connection is None and self._stand_in:
            connection = connection_of(self._stand_in)
        if connection is None:
            raise NotAcceptableError(
                "The description has no address.", warn_code=INCOMPATIBLE_ADDRESS
            )
        direction = common_direction(willing, description.direction_of(media).reversed)
        host = reachable_host(connection, self.address)
        if host is None:
            # RFC 3264 section 8.4: the hold of older telephones.
            direction = common_direction(direction, Direction.RECVONLY)
            known = self._current.remote.host if self._current else self._stand_in
            host = known or connection.host
        rtcp_mux = mux and muxes_rtcp(media)
        port = media.port if rtcp_mux else rtcp_port_of(media, connection)
        return NegotiatedAudio(
            remote=Address(host, media.port),
            remote_rtcp=Address(host, port),
            codec=codecs[0],
            others=tuple(codecs[1:]),
            telephone_event=event_in(media, codecs[0]),
            comfort_noise=noise_in(media, codecs[0]),
            direction=direction,
            ptime=packet_time(media),
            rtcp_mux=rtcp_mux,
        )
