"""The headers of very many RTP packets at once, as arrays."""

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.formats.rtp.packet import (
    HEADER_LENGTH,
    MAX_PACKET,
    RtpError,
    payload_bounds,
)

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_PLAIN = 0x80


@dataclass(frozen=True, slots=True)
class RtpHeaders:
    """Parallel arrays, one entry per packet; counters as on the wire."""

    valid: Flags
    "What `parse_rtp` would not refuse; the other fields hold only where this does."
    payload_type: Integers
    sequence: Integers
    timestamp: Integers
    ssrc: Integers
    payload: Integers
    "Where the payload starts in the octets given."
    length: Integers
    "Octets of payload."


def parse_headers(packets: bytearray, sizes: "array[int]") -> RtpHeaders:
    """Parse packets that lie one after another, each at least a header long."""
    octets = np.frombuffer(packets, np.uint8) if packets else np.zeros(0, np.uint8)
    size = np.array(sizes, np.int64)
    start = np.cumsum(size) - size
    first = octets[start]
    valid = size <= MAX_PACKET
    payload = start + HEADER_LENGTH
    length = size - HEADER_LENGTH
    # Nearly all packets are plain; the others can afford the careful way.
    for at in np.flatnonzero(first != _PLAIN).tolist():
        begin = int(start[at])
        try:
            low, high = payload_bounds(bytes(packets[begin : begin + int(size[at])]))
        except RtpError:
            valid[at] = False
        else:
            payload[at] = begin + low
            length[at] = high - low

    def number(at: int, octet_count: int) -> Integers:
        value = np.zeros(len(size), np.int64)
        for octet in range(at, at + octet_count):
            value = value << 8 | octets[start + octet]
        return value

    return RtpHeaders(
        valid=valid,
        payload_type=number(1, 1) & 0x7F,
        sequence=number(2, 2),
        timestamp=number(4, 4),
        ssrc=number(8, 4),
        payload=payload,
        length=length,
    )
