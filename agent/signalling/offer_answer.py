"""Offer and answer for the one audio stream of one leg: RFC 3264, sans-IO.

Everything but plain RTP audio is refused with port 0, and the peer's m-lines keep
their number and order for as long as the leg lives.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.common.errors import AgentError
from agent.model.media import Address, Codec, Direction, NegotiatedAudio
from agent.signalling.sdp import (
    Attributes,
    Connection,
    Media,
    Origin,
    RtpMap,
    SdpError,
    SessionDescription,
    parse_sdp,
)

RTP: Final = "RTP/AVP"
"The one profile; SRTP must not be promised before it can be kept."
TELEPHONE_EVENT: Final = "telephone-event"
DEFAULT_EVENT: Final = 101
"What nearly everybody uses, so that peers with a fixed idea work as well."
EVENTS: Final = "0-15"
"The digits of RFC 4733 section 3.2; flash and tones are not telephone keys."
DEFAULT_PTIME: Final = 20
PTIMES: Final = (10, 20, 30, 40, 50, 60)
"Milliseconds; what is outside counts as not said."

# Warning codes of RFC 3261 section 20.43.
INCOMPATIBLE_PROTOCOL: Final = 300
INCOMPATIBLE_ADDRESS: Final = 301
MEDIA_TYPE_UNAVAILABLE: Final = 304
INCOMPATIBLE_FORMAT: Final = 305
MISCELLANEOUS: Final = 399


class NotAcceptableError(AgentError):
    """The peer's description, or its timing, leaves us without common audio."""

    status = 488
    "What to answer to an offer; 491 where ours is still unanswered."

    def __init__(
        self, message: str, *, warn_code: int = MISCELLANEOUS, status: int = 488
    ) -> None:
        super().__init__(message)
        self.status = status
        self.warn_code = warn_code
        "Which of RFC 3261 section 20.43 applies."

    def warning(self, agent: str) -> tuple[str, str]:
        """The Warning header that tells the peer why; `agent` is our host."""
        return "Warning", f'{self.warn_code} {agent} "{self}"'


@dataclass(frozen=True, slots=True)
class _Shape:
    """What may not change from one description of a leg to the next."""

    refused: tuple[Media, ...] = ()
    "All m-lines, with port 0; that at `audio` is a place-holder."
    audio: int = 0


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
    ) -> None:
        """`address` is where our RTP arrives, RTCP one port above.

        `codecs` are in the order of our preference.
        """
        self._address = address
        self._session_id = session_id
        self._username = username
        self._codecs = tuple(codecs)
        self._event = DEFAULT_EVENT
        self._version = 0
        self._sent = b""
        self._shape = _Shape((_refusal("audio", RTP, ("0",)),))
        self._offered: tuple[Codec, ...] = ()
        self._offered_direction = Direction.SENDRECV
        self._answerable = False
        self._pending = False
        self._current: NegotiatedAudio | None = None

    @property
    def current(self) -> NegotiatedAudio | None:
        """What is agreed; None before the first answer."""
        return self._current

    @property
    def pending(self) -> bool:
        """Whether an offer of ours has no answer yet."""
        return self._pending

    def offer(
        self,
        *,
        codecs: Sequence[Codec] | None = None,
        direction: Direction = Direction.SENDRECV,
    ) -> bytes:
        """Make an offer, the first or a later one.

        `codecs` replaces the leg's list from here on. The codec in use comes first,
        so that a hold does not change it. Raises NotAcceptableError with status 491
        while an earlier offer is unanswered.
        """
        if self._pending:
            raise NotAcceptableError("An offer is unanswered.", status=491)
        if codecs is not None:
            self._codecs = tuple(codecs)
        self._offered = self._stable_first()
        self._offered_direction = direction
        self._event = self._free_event()
        self._answerable = self._pending = True
        return self._describe(self._offered, direction, self._event)

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
        description = _parse(body)
        if len(description.media) <= self._shape.audio:
            raise NotAcceptableError("The answer has too few media.")
        media = description.media[self._shape.audio]
        _check_stream(media)
        codec = _first_offered(media, self._offered)
        if codec is None:
            raise NotAcceptableError(
                "The answer names no codec that was offered.",
                warn_code=INCOMPATIBLE_FORMAT,
            )
        audio = self._agree(description, media, codec, self._offered_direction)
        self._pending = False
        self._take(audio)
        return audio

    def answer(
        self, body: bytes, *, direction: Direction | None = None
    ) -> tuple[bytes, NegotiatedAudio]:
        """Answer the peer's offer with one codec, and telephone events if offered.

        The codec is the one in use, if it is offered again, else the first of ours
        that is. `direction` is what we are willing to do, by default all that the
        peer is. Raises NotAcceptableError; its status is 491 while an offer of ours
        is unanswered.
        """
        if self._pending:
            raise NotAcceptableError("Offers have crossed.", status=491)
        description = _parse(body)
        index, codec = self._choose(description)
        media = description.media[index]
        audio = self._agree(description, media, codec, direction or Direction.SENDRECV)
        self._shape = _Shape(
            tuple(
                _refusal(other.kind, other.protocol, other.formats)
                for other in description.media
            ),
            index,
        )
        self._answerable = False
        self._take(audio)
        return self._describe((codec,), audio.direction, audio.telephone_event), audio

    def _take(self, audio: NegotiatedAudio) -> None:
        self._current = audio
        if audio.telephone_event is not None:
            # RFC 3264 section 8.3.2: a payload type keeps its meaning.
            self._event = audio.telephone_event

    def _stable_first(self) -> tuple[Codec, ...]:
        """Our codecs, the one in use first and under the number it has in use."""
        if self._current is None:
            return self._codecs
        used = self._current.codec
        if not any(_same(codec, used) for codec in self._codecs):
            return self._codecs
        # A peer may have given a static number to another codec.
        return (
            used,
            *(
                codec
                for codec in self._codecs
                if not _same(codec, used) and codec.payload_type != used.payload_type
            ),
        )

    def _free_event(self) -> int:
        taken = {codec.payload_type for codec in self._offered}
        wanted = self._event
        while wanted in taken:
            wanted = wanted + 1 if wanted < 127 else 96
        return wanted

    def _choose(self, description: SessionDescription) -> tuple[int, Codec]:
        """The m-line to be answered, and the codec as the offer numbers it."""
        indices = list(range(len(description.media)))
        if self._current is not None and self._shape.audio in indices:
            indices.remove(self._shape.audio)
            indices.insert(0, self._shape.audio)
        reason = NotAcceptableError(
            "The offer has no audio.", warn_code=MEDIA_TYPE_UNAVAILABLE
        )
        for index in indices:
            media = description.media[index]
            try:
                _check_stream(media)
            except NotAcceptableError as error:
                if media.kind == "audio":
                    reason = error
                continue
            codec = _first_of_ours(media, self._stable_first())
            if codec is not None:
                return index, codec
            reason = NotAcceptableError(
                "The offer has no codec of ours.", warn_code=INCOMPATIBLE_FORMAT
            )
        raise reason

    def _agree(
        self,
        description: SessionDescription,
        media: Media,
        codec: Codec,
        willing: Direction,
    ) -> NegotiatedAudio:
        connection = description.connection_of(media)
        if connection is None:
            raise NotAcceptableError(
                "The description has no address.", warn_code=INCOMPATIBLE_ADDRESS
            )
        direction = _common(willing, description.direction_of(media).reversed)
        host = self._reachable(connection)
        if host is None:
            # RFC 3264 section 8.4: the hold of older telephones.
            direction = _common(direction, Direction.RECVONLY)
            host = self._current.remote.host if self._current else connection.host
        rtcp_port = _rtcp_port(media, connection)
        return NegotiatedAudio(
            remote=Address(host, media.port),
            remote_rtcp=Address(host, rtcp_port),
            codec=codec,
            telephone_event=_event_in(media, codec),
            direction=direction,
            ptime=_ptime(media),
        )

    def _reachable(self, connection: Connection) -> str | None:
        """The address to send to; None where the peer wants nothing sent."""
        host = connection.host
        # RFC 6157 gives IPv6 such a name for what 0.0.0.0 is to IPv4.
        if host.lower().endswith(".invalid"):
            return None
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise NotAcceptableError(
                "The media address is a name.", warn_code=INCOMPATIBLE_ADDRESS
            ) from None
        if address.is_unspecified:
            return None
        ours = ipaddress.ip_address(self._address.host)
        if (
            address.version != ours.version
            or address.is_multicast
            or host == "255.255.255.255"
            or "%" in host
        ):
            raise NotAcceptableError(
                "The media address is none we can send to.",
                warn_code=INCOMPATIBLE_ADDRESS,
            )
        return str(address)

    def _describe(
        self, codecs: Sequence[Codec], direction: Direction, event: int | None
    ) -> bytes:
        media = list(self._shape.refused)
        media[self._shape.audio] = _audio(self._address.port, codecs, direction, event)
        body = self._serialise(tuple(media))
        if body != self._sent:
            self._version += 1
            body = self._sent = self._serialise(tuple(media))
        return body

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
            media=media,
        ).to_bytes()


def _parse(body: bytes) -> SessionDescription:
    try:
        return parse_sdp(body)
    except SdpError as error:
        raise NotAcceptableError(str(error)) from error


def _check_stream(media: Media) -> None:
    if media.kind != "audio" or media.port == 0:
        raise NotAcceptableError(
            "The audio stream is missing or refused.", warn_code=MEDIA_TYPE_UNAVAILABLE
        )
    if media.protocol.upper() != RTP:
        raise NotAcceptableError(
            "The audio is not plain RTP.", warn_code=INCOMPATIBLE_PROTOCOL
        )


def _first_of_ours(media: Media, ours: Sequence[Codec]) -> Codec | None:
    """The first of our codecs that `media` has, under its payload type there."""
    for codec in ours:
        for number, rtpmap in media.rtpmaps.items():
            if rtpmap.is_(codec.name, codec.clock_rate):
                return Codec(codec.name, number, codec.clock_rate)
    return None


def _first_offered(media: Media, offered: Sequence[Codec]) -> Codec | None:
    """The first codec of `media` that is one of those offered."""
    for number, rtpmap in media.rtpmaps.items():
        for codec in offered:
            if rtpmap.is_(codec.name, codec.clock_rate):
                return Codec(codec.name, number, codec.clock_rate)
    return None


def _event_in(media: Media, codec: Codec) -> int | None:
    """The payload type of events at the codec's clock rate (RFC 4733 section 2.1)."""
    for number, rtpmap in media.rtpmaps.items():
        if rtpmap.is_(TELEPHONE_EVENT, codec.clock_rate):
            return number
    return None


def _rtcp_port(media: Media, connection: Connection) -> int:
    rtcp = media.rtcp
    # Where RTCP has another address than RTP, a NAT in between mended only the
    # latter, or someone wants our reports sent to a third party.
    if rtcp is not None and rtcp[1] in {None, connection.host}:
        return rtcp[0]
    if media.port == 65535:
        raise NotAcceptableError(
            "The media port leaves none for RTCP.", warn_code=INCOMPATIBLE_ADDRESS
        )
    return media.port + 1


def _ptime(media: Media) -> int:
    ptime = media.ptime or DEFAULT_PTIME
    if media.maxptime is not None:
        ptime = min(ptime, media.maxptime)
    return ptime if ptime in PTIMES else DEFAULT_PTIME


def _common(one: Direction, other: Direction) -> Direction:
    """What both allow, seen from the agent."""
    sends = one.sends and other.sends
    receives = one.receives and other.receives
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def _same(one: Codec, other: Codec) -> bool:
    return RtpMap(one.name, one.clock_rate).is_(other.name, other.clock_rate)


def _refusal(kind: str, protocol: str, formats: tuple[str, ...]) -> Media:
    # A refused stream must name a format all the same (RFC 3264 section 6).
    return Media(kind, 0, protocol, formats[:1] or ("0",))


def _audio(
    port: int, codecs: Sequence[Codec], direction: Direction, event: int | None
) -> Media:
    formats = [str(codec.payload_type) for codec in codecs]
    attributes: list[tuple[str, str | None]] = [
        ("rtpmap", f"{codec.payload_type} {codec.name}/{codec.clock_rate}")
        for codec in codecs
    ]
    if event is not None:
        formats.append(str(event))
        attributes += [
            ("rtpmap", f"{event} {TELEPHONE_EVENT}/{codecs[0].clock_rate}"),
            ("fmtp", f"{event} {EVENTS}"),
        ]
    attributes += [("ptime", str(DEFAULT_PTIME)), (direction.value, None)]
    frozen: Attributes = tuple(attributes)
    return Media("audio", port, RTP, tuple(formats), attributes=frozen)
