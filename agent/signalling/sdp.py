"""Session descriptions: RFC 8866, as far as one telephone call needs them.

Kept are v=, o=, s=, c=, t=, a= and m=; all other lines are read over. The attributes
of a description stay as they came, and are given a meaning when they are asked for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.common.errors import AgentError
from agent.model.media import Direction

MAX_SDP: Final = 16_384
"Octets. The largest WebRTC offer in the corpora has 3600."
MAX_LINE: Final = 2048
"Octets; key management and video parameter sets take the most."
MAX_LINES: Final = 512
MAX_MEDIA: Final = 32
"A telephone offers three at most; who has a conference recorded, two for each in it."
MAX_FORMATS: Final = 64
"There are only 128 RTP payload types."

Attributes = tuple[tuple[str, str | None], ...]
"`a=` lines in their order; None where a name stands alone."

_LINE = re.compile(r"([a-z])=([^\r\0]*)")
_RTPMAP = re.compile(
    r"([0-9]{1,3})[ \t]+([^ \t/]+)/([0-9]{1,6})(?:/([0-9]{1,3}))?[ \t]*"
)
_RTCP = re.compile(r"([0-9]{1,5})(?:[ \t]+IN[ \t]+IP[46][ \t]+([^ \t]+))?[ \t]*")
_TOKEN = re.compile(r"[!-~]+")
_DIRECTIONS: Final = {direction.value: direction for direction in Direction}


class SdpError(AgentError):
    """The peer sent what is no session description, or a larger one than we take.

    The text never quotes the description: it holds addresses of people's homes.
    """


class RtpMap(msgspec.Struct, frozen=True):
    """What a payload type means (RFC 8866 section 6.6)."""

    name: str
    "As written; to be compared without regard to case."
    clock_rate: int
    channels: int = 1

    def is_(self, name: str, clock_rate: int, channels: int = 1) -> bool:
        """Whether this is that encoding, with so many channels."""
        return (
            self.name.upper() == name.upper()
            and self.clock_rate == clock_rate
            and self.channels == channels
        )


STATIC: Final = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    4: RtpMap("G723", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    13: RtpMap("CN", 8000),
    15: RtpMap("G728", 8000),
    18: RtpMap("G729", 8000),
}
"The audio payload types of RFC 3551 section 6 that need no rtpmap."


class Origin(msgspec.Struct, frozen=True):
    """`o=`: RFC 8866 section 5.2. Numbers stay text: some are far beyond 64 bits."""

    username: str
    session_id: str
    version: str
    address_type: str
    address: str

    def __str__(self) -> str:
        return (
            f"{self.username} {self.session_id} {self.version}"
            f" IN {self.address_type} {self.address}"
        )


class Connection(msgspec.Struct, frozen=True):
    """`c=`: RFC 8866 section 5.7."""

    address_type: str
    "IP4 or IP6, as far as the peer is sane."
    address: str
    "As written: a host name is possible, a TTL may follow a slash."

    def __str__(self) -> str:
        return f"IN {self.address_type} {self.address}"

    @property
    def host(self) -> str:
        """The address without TTL and count."""
        return self.address.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Media:
    """One `m=` section: RFC 8866 section 5.14."""

    kind: str
    "`audio`, `video`, `image`, …"
    port: int
    "0: the stream is refused or ended (RFC 3264 section 6)."
    protocol: str
    formats: tuple[str, ...]
    "Payload types, for RTP; the most preferred first."
    connection: Connection | None = None
    attributes: Attributes = field(default=(), repr=False)
    "They may hold keys."
    port_count: int = 1
    _rtpmaps: "dict[int, RtpMap] | None" = field(
        default=None, init=False, repr=False, compare=False
    )

    def attribute(self, name: str) -> str | None:
        """The value of the first such attribute; empty if it has none."""
        return _attribute(self.attributes, name)

    @property
    def direction(self) -> Direction | None:
        """Seen from whoever wrote it; None if the section does not say."""
        return _direction(self.attributes)

    @property
    def rtpmaps(self) -> Mapping[int, RtpMap]:
        """What the payload types mean, in the order of preference.

        Payload types that nothing explains are left out.
        """
        if self._rtpmaps is None:
            # A negotiation asks six times.
            object.__setattr__(self, "_rtpmaps", self._explained())
        return self._rtpmaps or {}

    def _explained(self) -> dict[int, RtpMap]:
        explained = dict(STATIC)
        for name, value in self.attributes:
            if name == "rtpmap" and (match := _RTPMAP.fullmatch(value or "")):
                explained[int(match[1])] = RtpMap(
                    match[2], int(match[3]), int(match[4] or 1)
                )
        numbers = [
            int(text)
            for text in self.formats
            if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 128
        ]
        return {number: explained[number] for number in numbers if number in explained}

    def fmtp(self, payload_type: int) -> str | None:
        """The format parameters of a payload type (RFC 8866 section 6.15)."""
        for name, value in self.attributes:
            number, _, rest = (value or "").partition(" ")
            if name == "fmtp" and number == str(payload_type):
                return rest.strip(" \t")
        return None

    @property
    def ptime(self) -> int | None:
        """Whole milliseconds of audio wanted in one packet, if it says so."""
        return _milliseconds(self.attribute("ptime"))

    @property
    def maxptime(self) -> int | None:
        """Whole milliseconds of audio tolerated in one packet, if it says so."""
        return _milliseconds(self.attribute("maxptime"))

    @property
    def rtcp(self) -> tuple[int, str | None] | None:
        """Port, and address if there is one, of `a=rtcp` (RFC 3605)."""
        match = _RTCP.fullmatch(self.attribute("rtcp") or "")
        if match is None or not 0 < int(match[1]) < 65536:
            return None
        return int(match[1]), match[2]

    @property
    def label(self) -> str | None:
        """The stream's name for whoever refers to it (RFC 4574)."""
        return self.attribute("label")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    times: tuple[str, ...] = ("0 0",)
    attributes: Attributes = ()
    media: tuple[Media, ...] = ()

    def __repr__(self) -> str:
        return f"SessionDescription({', '.join(media.kind for media in self.media)})"

    def attribute(self, name: str) -> str | None:
        """The value of the first such attribute of the session itself."""
        return _attribute(self.attributes, name)

    def connection_of(self, media: Media) -> Connection | None:
        """Where `media` is wanted: its own `c=`, else the session's."""
        return media.connection or self.connection

    def direction_of(self, media: Media) -> Direction:
        """The direction of `media`, seen from whoever wrote the description."""
        return media.direction or _direction(self.attributes) or Direction.SENDRECV

    def to_bytes(self) -> bytes:
        """Serialise in the order of RFC 8866 section 9; the twin of `parse_sdp`."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"t={time}" for time in self.times]
        lines += _attribute_lines(self.attributes)
        for media in self.media:
            count = f"/{media.port_count}" if media.port_count != 1 else ""
            formats = "".join(f" {one}" for one in media.formats)
            lines.append(
                f"m={media.kind} {media.port}{count} {media.protocol}{formats}"
            )
            if media.connection is not None:
                lines.append(f"c={media.connection}")
            lines += _attribute_lines(media.attributes)
        lines.append("")
        return "\r\n".join(lines).encode(errors="surrogateescape")


def parse_sdp(data: bytes) -> SessionDescription:
    """Parse a session description. Raises SdpError and nothing else.

    Lines may end in LF alone. Missing s= and t= are forgiven, and the order of lines
    within a section is not looked at, because RFC 3264's own examples have it wrong.
    """
    lines = _split(data)
    if not lines or lines[0] != ("v", "0"):
        raise SdpError("The description does not begin with v=0.")
    starts = [index for index, (kind, _) in enumerate(lines) if kind == "m"]
    if len(starts) > MAX_MEDIA:
        raise SdpError("The description has too many media.")
    session = lines[1 : starts[0]] if starts else lines[1:]
    origin = next((value for kind, value in session if kind == "o"), None)
    if origin is None:
        raise SdpError("The description has no origin.")
    ends = [*starts[1:], len(lines)]
    return SessionDescription(
        origin=_parse_origin(origin),
        name=next((value for kind, value in session if kind == "s"), "-"),
        connection=_parse_connection(session),
        times=tuple(value for kind, value in session if kind == "t") or ("0 0",),
        attributes=_parse_attributes(session),
        media=tuple(
            _parse_media(lines[start:end])
            for start, end in zip(starts, ends, strict=False)
        ),
    )


def _split(data: bytes) -> list[tuple[str, str]]:
    if len(data) > MAX_SDP:
        raise SdpError("The description is too long.")
    # Session names come in any encoding; what is not UTF-8 passes unharmed.
    text = data.decode(errors="surrogateescape")
    lines: list[tuple[str, str]] = []
    for raw in text.split("\n"):
        line = raw.removesuffix("\r")
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(line) > MAX_LINE or len(lines) == MAX_LINES:
            raise SdpError("The description has a malformed line, or too many.")
        lines.append((match[1], match[2]))
    return lines


def _fields(value: str) -> list[str]:
    fields = [field for field in value.split(" ") if field]
    if any(_TOKEN.fullmatch(field) is None for field in fields):
        raise SdpError("A line of the description has unprintable characters.")
    return fields


def _parse_origin(value: str) -> Origin:
    fields = [field for field in value.split(" ") if field]
    # Some gateways put blanks into the user name: the end is what counts.
    username = " ".join(fields[:-5])
    last = _fields(" ".join(fields[-5:]))
    if not username or last[2] != "IN":
        raise SdpError("The origin is malformed.")
    session_id, version, _, address_type, address = last
    return Origin(username, session_id, version, address_type, address)


def _parse_connection(lines: list[tuple[str, str]]) -> Connection | None:
    value = next((value for kind, value in lines if kind == "c"), None)
    if value is None:
        return None
    fields = _fields(value)
    if len(fields) != 3 or fields[0] != "IN":
        raise SdpError("A connection line is malformed.")
    return Connection(fields[1], fields[2])


def _parse_media(lines: list[tuple[str, str]]) -> Media:
    fields = _fields(lines[0][1])
    if not 3 <= len(fields) <= 3 + MAX_FORMATS:
        raise SdpError("A media line is malformed.")
    kind, ports, protocol, *formats = fields
    port, slash, count = ports.partition("/")
    return Media(
        kind=kind,
        port=_port(port),
        protocol=protocol,
        formats=tuple(formats),
        connection=_parse_connection(lines),
        attributes=_parse_attributes(lines),
        port_count=_port(count) if slash else 1,
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536):
        raise SdpError("A media line has no port.")
    return int(text)


def _parse_attributes(lines: list[tuple[str, str]]) -> Attributes:
    pairs = (value.partition(":") for kind, value in lines if kind == "a")
    return tuple((name, value if colon else None) for name, colon, value in pairs)


def _attribute_lines(attributes: Attributes) -> list[str]:
    return [
        f"a={name}" if value is None else f"a={name}:{value}"
        for name, value in attributes
    ]


def _attribute(attributes: Attributes, name: str) -> str | None:
    for found, value in attributes:
        if found == name:
            return (value or "").strip(" \t")
    return None


def _direction(attributes: Attributes) -> Direction | None:
    for name, _ in attributes:
        if (found := _DIRECTIONS.get(name.rstrip(" \t"))) is not None:
            return found
    return None


def _milliseconds(text: str | None) -> int | None:
    whole = (text or "").partition(".")[0]
    if whole.isascii() and whole.isdigit() and len(whole) <= 4 and int(whole) > 0:
        return int(whole)
    return None
