"""What signalling agrees and media obeys: address, codec, direction."""

import functools
import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Address(msgspec.Struct, frozen=True):
    """An IP address literal (no brackets, no host name) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@functools.lru_cache(maxsize=1024)
def ip_of(host: str) -> IpAddress:
    """The address that `host` is a literal of. Raises ValueError if it is none.

    A call asks a dozen times, about the same few hosts as the calls before it.
    """
    return ipaddress.ip_address(host)


class Direction(StrEnum):
    """The direction attribute of RFC 8866 section 6.7, seen from the agent."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the agent may send."""
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        """Whether the agent expects to receive."""
        return self in {Direction.SENDRECV, Direction.RECVONLY}

    @property
    def reversed(self) -> "Direction":
        """The same direction seen from the other side."""
        return _REVERSED.get(self, self)


_REVERSED: Final = {
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
}


@dataclass(frozen=True, slots=True)
class Codec:
    """An RTP payload format by its encoding name (RFC 3551 section 6)."""

    name: str
    payload_type: int
    clock_rate: int = 8000
    "Of RTP timestamps, whatever is sampled."
    channels: int = 1
    "As SDP names them: always two for Opus (RFC 7587 section 7)."
    parameters: str = ""
    "Of `a=fmtp`, as its receiver wishes them."


PCMU: Final = Codec("PCMU", 0)
PCMA: Final = Codec("PCMA", 8)
G722: Final = Codec("G722", 9)
OPUS: Final = Codec("opus", 107, 48_000, 2, "useinbandfec=1")
CODECS: Final = {codec.name: codec for codec in (PCMA, PCMU, G722, OPUS)}
"The audio codecs a route may name."
COMFORT_NOISE: Final = 13
"The payload type of RFC 3389 at 8000 Hz."


class Latch(StrEnum):
    """From where a leg's RTP is believed."""

    OFF = "off"
    "The address and port of the SDP, exactly."
    ADDRESS = "address"
    "The address of the SDP, any port."
    ANY = "any"
    "Any address: for peers behind NATs only."


class SrtpPolicy(StrEnum):
    """Whether a peer's media must, may or must not be SRTP."""

    REQUIRE = "require"
    "Nothing else is offered or accepted."
    OFFER = "offer"
    "Encrypted where the peer does it too, plain otherwise (RFC 8643)."
    NEVER = "never"


class SrtpSuite(StrEnum):
    """A crypto-suite by its name in SDP: RFC 4568 section 6.2, RFC 7714 section 14."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_size(self) -> int:
        """Bytes of the master key and the master salt together."""
        return _SRTP_KEY_SIZES[self]


_SRTP_KEY_SIZES: Final = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: 16 + 14,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: 16 + 14,
    SrtpSuite.AEAD_AES_128_GCM: 16 + 12,
    SrtpSuite.AEAD_AES_256_GCM: 32 + 12,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKeys:
    """How one leg's media is protected; master keys with their salts."""

    suite: SrtpSuite
    send: bytes = field(repr=False)
    "Of what we send; empty where nothing may be sent until there is a new one."
    receive: bytes = field(repr=False)
    "Of what the peer sends."


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedAudio:
    """What offer and answer agreed for the one audio stream of a leg."""

    remote: Address
    "Where the agent sends RTP, and whence it expects it."
    remote_rtcp: Address
    codec: Codec
    "The audio codec both sides use; its payload type as seen on this leg."
    others: tuple[Codec, ...] = ()
    "What else the peer may change to at any packet."
    telephone_event: int | None = None
    "Payload type of RFC 4733 events on this leg."
    comfort_noise: int | None = None
    "Payload type of RFC 3389 on this leg."
    direction: Direction = Direction.SENDRECV
    "Seen from the agent."
    ptime: int = 20
    "Milliseconds of audio the peer wants in one packet."
    srtp: SrtpKeys | None = None
    "Keys of the leg; None where its media is plain RTP."
    rtcp_mux: bool = False
    "Whether RTCP uses RTP's port on both sides (RFC 5761)."
