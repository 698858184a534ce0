"""The audio section of a description: what the peer's says, and how ours is written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from agent.model.media import Address, Codec, Direction, ip_of
from agent.signalling.media_security import PLAIN, Protection
from agent.signalling.not_acceptable import (
    INCOMPATIBLE_ADDRESS,
    MEDIA_TYPE_UNAVAILABLE,
    NotAcceptableError,
)
from agent.signalling.sdp import Connection, Media, RtpMap, SessionDescription

TELEPHONE_EVENT: Final = "telephone-event"
DEFAULT_EVENTS: Final = {8000: 101, 48_000: 110}
"By clock rate. What nearly everybody uses: peers with a fixed idea work as well."
EVENTS: Final = "0-15"
"The digits of RFC 4733 section 3.2; flash and tones are not telephone keys."
AMBIGUOUS: Final = range(64, 96)
"Payload types that look like RTCP where both share a port: RFC 5761 section 4."
NOISE: Final = "CN"
NOISE_RATE: Final = 8000
OPUS_PARAMETERS: Final = frozenset(
    {
        "cbr", "maxaveragebitrate", "maxplaybackrate", "minptime", "stereo",
        "sprop-maxcapturerate", "sprop-stereo", "usedtx", "useinbandfec",
    }
)  # fmt: skip
MAX_PARAMETERS: Final = 16
_PREFERENCES: Final = frozenset({"on", "off", "pause"})
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
    """The first of our codecs that `media` has, as it has it there."""
    for codec in ours:
        for number, rtpmap in media.rtpmaps.items():
            if rtpmap.is_(codec.name, codec.clock_rate, codec.channels):
                return _as_told(codec, number, media)
    return None


def those_offered(media: Media, offered: Sequence[Codec]) -> tuple[Codec, ...]:
    """The codecs of `media` that are among those offered, in its order."""
    return tuple(
        _as_told(codec, number, media)
        for number, rtpmap in media.rtpmaps.items()
        for codec in offered
        if rtpmap.is_(codec.name, codec.clock_rate, codec.channels)
    )


def _as_told(codec: Codec, number: int, media: Media) -> Codec:
    """The codec as the peer wants to receive it."""
    wishes = opus_parameters(media.fmtp(number)) if codec.name == "opus" else ""
    if (codec.payload_type, codec.parameters) == (number, wishes):
        return codec
    return replace(codec, payload_type=number, parameters=wishes)


def opus_parameters(text: str | None) -> str:
    """What of an `a=fmtp` of Opus may be passed on: RFC 7587 section 6.1."""
    found = []
    for part in (text or "").split(";")[:MAX_PARAMETERS]:
        name, _, value = part.strip(" \t").partition("=")
        known = name.lower() in OPUS_PARAMETERS
        if known and value.isascii() and value.isdigit() and len(value) <= 6:
            found.append(f"{name.lower()}={value}")
    return ";".join(found)


def event_in(media: Media, codec: Codec) -> int | None:
    """The payload type of events at the codec's clock rate (RFC 4733 section 2.1)."""
    for number, rtpmap in media.rtpmaps.items():
        if rtpmap.is_(TELEPHONE_EVENT, codec.clock_rate):
            return number
    return None


def noise_in(media: Media, codec: Codec) -> int | None:
    """The payload type of comfort noise at the codec's clock rate (RFC 3389)."""
    for number, rtpmap in media.rtpmaps.items():
        if rtpmap.is_(NOISE, codec.clock_rate):
            return number
    return None


def record_preference(description: SessionDescription, media: Media) -> str:
    """Whether the peer would like to be recorded (RFC 7866 section 7.1.3).

    `on`, `off` or `pause`; empty where it has no preference, or none we know.
    """
    told = media.attribute("recordpref") or description.attribute("recordpref") or ""
    return told if told in _PREFERENCES else ""


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
    found = RtpMap(one.name, one.clock_rate, one.channels)
    return found.is_(other.name, other.clock_rate, other.channels)


def refused_section(kind: str, protocol: str, formats: tuple[str, ...]) -> Media:
    """A section with port 0, for a stream we do not take."""
    # A refused stream must name a format all the same (RFC 3264 section 6).
    return Media(kind, 0, protocol, formats[:1] or ("0",))


def audio_section(
    port: int,
    codecs: Sequence[Codec],
    direction: Direction,
    events: Mapping[int, int],
    *,
    noise: int | None = None,
    ptime: int = DEFAULT_PTIME,
    protection: Protection = PLAIN,
    rtcp_mux: bool = False,
) -> Media:
    """Our audio section; `events` has the payload type of events at a clock rate."""
    formats = [codec.payload_type for codec in codecs]
    attributes: list[tuple[str, str | None]] = []
    for codec in codecs:
        number = codec.payload_type
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        attributes.append(
            ("rtpmap", f"{number} {codec.name}/{codec.clock_rate}{channels}")
        )
        if codec.parameters:
            attributes.append(("fmtp", f"{number} {codec.parameters}"))
    if noise is not None:
        formats.append(noise)
        attributes.append(("rtpmap", f"{noise} {NOISE}/{NOISE_RATE}"))
    for clock_rate, event in events.items():
        formats.append(event)
        attributes += [
            ("rtpmap", f"{event} {TELEPHONE_EVENT}/{clock_rate}"),
            ("fmtp", f"{event} {EVENTS}"),
        ]
    attributes += [("ptime", str(ptime)), (direction.value, None)]
    if rtcp_mux:
        attributes.append(("rtcp-mux", None))
    return Media(
        "audio",
        port,
        protection.profile,
        tuple(map(str, formats)),
        attributes=(*attributes, *protection.attributes),
    )
