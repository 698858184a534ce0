"""The audio section of a description: what the peer's says, and how ours is written."""

from collections.abc import Sequence
from typing import Final

from agent.model.media import Address, Codec, Direction, ip_of
from agent.signalling.media_security import PLAIN, Protection
from agent.signalling.not_acceptable import (
    INCOMPATIBLE_ADDRESS,
    MEDIA_TYPE_UNAVAILABLE,
    NotAcceptableError,
)
from agent.signalling.sdp import Attributes, Connection, Media, RtpMap

TELEPHONE_EVENT: Final = "telephone-event"
DEFAULT_EVENT: Final = 101
"What nearly everybody uses, so that peers with a fixed idea work as well."
EVENTS: Final = "0-15"
"The digits of RFC 4733 section 3.2; flash and tones are not telephone keys."
AMBIGUOUS: Final = range(64, 96)
"Payload types that look like RTCP where both share a port: RFC 5761 section 4."
DEFAULT_PTIME: Final = 20
PTIMES: Final = (10, 20, 30, 40, 50, 60)
"Milliseconds; what is outside counts as not said."


def reachable_host(connection: Connection, local: Address) -> str | None:
    """The address to send to; None where the peer wants nothing sent."""
    host = connection.host
    # RFC 6157 gives IPv6 such a name for what 0.0.0.0 is to IPv4.
    if host.lower().endswith(".invalid"):
        return None
    try:
        address = ip_of(host)
    except ValueError:
        raise NotAcceptableError(
            "The media address is a name.", warn_code=INCOMPATIBLE_ADDRESS
        ) from None
    if address.is_unspecified:
        return None
    ours = ip_of(local.host)
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


def check_stream(media: Media) -> None:
    """Raise NotAcceptableError unless `media` is audio that is wanted."""
    if media.kind != "audio" or media.port == 0:
        raise NotAcceptableError(
            "The audio stream is missing or refused.", warn_code=MEDIA_TYPE_UNAVAILABLE
        )


def first_of_ours(media: Media, ours: Sequence[Codec]) -> Codec | None:
    """The first of our codecs that `media` has, under its payload type there."""
    for codec in ours:
        for number, rtpmap in media.rtpmaps.items():
            if rtpmap.is_(codec.name, codec.clock_rate):
                return Codec(codec.name, number, codec.clock_rate)
    return None


def first_offered(media: Media, offered: Sequence[Codec]) -> Codec | None:
    """The first codec of `media` that is one of those offered."""
    for number, rtpmap in media.rtpmaps.items():
        for codec in offered:
            if rtpmap.is_(codec.name, codec.clock_rate):
                return Codec(codec.name, number, codec.clock_rate)
    return None


def event_in(media: Media, codec: Codec) -> int | None:
    """The payload type of events at the codec's clock rate (RFC 4733 section 2.1)."""
    for number, rtpmap in media.rtpmaps.items():
        if rtpmap.is_(TELEPHONE_EVENT, codec.clock_rate):
            return number
    return None


def rtcp_port_of(media: Media, connection: Connection) -> int:
    """Where the peer wants RTCP (RFC 3605). Raises NotAcceptableError if nowhere."""
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


def muxes_rtcp(media: Media) -> bool:
    """Whether RTCP may use RTP's port, and can be told from it there (RFC 5761)."""
    return media.attribute("rtcp-mux") is not None and not any(
        number in AMBIGUOUS for number in media.rtpmaps
    )


def packet_time(media: Media) -> int:
    """Milliseconds the peer wants in one packet, one of PTIMES."""
    ptime = media.ptime or DEFAULT_PTIME
    if media.maxptime is not None:
        ptime = min(ptime, media.maxptime)
    return ptime if ptime in PTIMES else DEFAULT_PTIME


def common_direction(one: Direction, other: Direction) -> Direction:
    """What both allow, seen from the agent."""
    sends = one.sends and other.sends
    receives = one.receives and other.receives
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def same_codec(one: Codec, other: Codec) -> bool:
    """Whether both are one encoding, under whatever payload types."""
    return RtpMap(one.name, one.clock_rate).is_(other.name, other.clock_rate)


def refused_section(kind: str, protocol: str, formats: tuple[str, ...]) -> Media:
    """A section with port 0, for a stream we do not take."""
    # A refused stream must name a format all the same (RFC 3264 section 6).
    return Media(kind, 0, protocol, formats[:1] or ("0",))


def audio_section(
    port: int,
    codecs: Sequence[Codec],
    direction: Direction,
    event: int | None,
    *,
    protection: Protection = PLAIN,
    rtcp_mux: bool = False,
) -> Media:
    """Our audio section; `event` is the payload type of telephone events."""
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
    if rtcp_mux:
        attributes.append(("rtcp-mux", None))
    frozen: Attributes = (*attributes, *protection.attributes)
    return Media("audio", port, protection.profile, tuple(formats), attributes=frozen)
