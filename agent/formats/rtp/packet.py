"""One RTP packet, RFC 3550 section 5.1: parse, serialise, tell from RTCP."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from agent.common.errors import AgentError

VERSION: Final = 2
HEADER_LENGTH: Final = 12
"Octets before the CSRC list."

MAX_PACKET: Final = 1500
"One Ethernet frame; telephone audio is far below it, and larger is hostile."

MAX_CSRCS: Final = 15
"What the four bits of CC can count."

# RFC 3550 appendix A.1.
MAX_DROPOUT: Final = 3000
"A gap of fewer packets is loss; a larger jump needs a second packet to be believed."
MAX_MISORDER: Final = 100
"A packet fewer than these behind is late or a duplicate."

_HEADER: Final = Struct("!BBHII")
_PADDING: Final = 0x20
_EXTENSION: Final = 0x10
_CSRC_COUNT: Final = 0x0F
_PLAIN: Final = VERSION << 6
"First octet of a packet without padding, extension and CSRCs."


class RtpError(AgentError):
    """The peer sent bytes that are not an RTP packet."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """An RTP packet without its padding and header extension.

    Counters are as on the wire: 16-bit sequence number, 32-bit timestamp in units
    of the payload's clock.
    """

    payload_type: int
    marker: bool
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    csrcs: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        """Serialise. Raises RtpError if a field does not fit its place."""
        if (
            self.payload_type not in range(1 << 7)
            or self.sequence_number not in range(1 << 16)
            or self.timestamp not in range(1 << 32)
            or any(id_ not in range(1 << 32) for id_ in (self.ssrc, *self.csrcs))
            or len(self.csrcs) > MAX_CSRCS
        ):
            raise RtpError("an RTP header field is out of range")
        header = _HEADER.pack(
            _PLAIN | len(self.csrcs),
            self.marker << 7 | self.payload_type,
            self.sequence_number,
            self.timestamp,
            self.ssrc,
        )
        csrcs = b"".join(csrc.to_bytes(4, "big") for csrc in self.csrcs)
        packet = header + csrcs + self.payload
        if len(packet) > MAX_PACKET:
            raise RtpError(f"an RTP packet would be longer than {MAX_PACKET} octets")
        return packet

    def __repr__(self) -> str:
        # Without the payload: no audio and no digits in a log.
        return (
            f"RtpPacket(pt={self.payload_type}, marker={self.marker}, "
            f"seq={self.sequence_number}, ts={self.timestamp}, "
            f"ssrc={self.ssrc:#010x}, {len(self.payload)} octets)"
        )


def payload_bounds(data: bytes) -> tuple[int, int]:
    """Where the payload starts and ends in one RTP packet, RFC 3550 section 5.1.

    The header extension (section 5.3.1) and the padding are left out. The payload
    may be empty. Raises RtpError, and nothing else, for what is no RTP packet.
    """
    end = len(data)
    if end < HEADER_LENGTH:
        raise RtpError("shorter than an RTP header")
    if end > MAX_PACKET:
        raise RtpError(f"longer than {MAX_PACKET} octets")
    first = data[0]
    if first == _PLAIN:
        return HEADER_LENGTH, end
    if first >> 6 != VERSION:
        raise RtpError("not RTP version 2")
    start = HEADER_LENGTH + 4 * (first & _CSRC_COUNT)
    if first & _EXTENSION:
        if start + 4 > end:
            raise RtpError("the header extension is cut off")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & _PADDING:
        padding = data[-1]
        if padding == 0:
            raise RtpError("the padding claims no octets, not even its own")
        end -= padding
    if start > end:
        raise RtpError("header and padding overlap")
    return start, end


def parse_rtp(data: bytes) -> RtpPacket:
    """Parse one RTP packet, RFC 3550 section 5.1. Raises RtpError and nothing else."""
    start, end = payload_bounds(data)
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    csrcs_end = HEADER_LENGTH + 4 * (first & _CSRC_COUNT)
    return RtpPacket(
        payload_type=second & 0x7F,
        marker=second >= 0x80,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=bytes(data[start:end]),
        csrcs=tuple(
            int.from_bytes(data[at : at + 4], "big")
            for at in range(HEADER_LENGTH, csrcs_end, 4)
        ),
    )


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is RTCP, RFC 5761 section 4."""
    return len(data) > 1 and data[0] >> 6 == VERSION and 192 <= data[1] <= 223
