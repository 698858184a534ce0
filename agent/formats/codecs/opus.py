"""Opus packets from the outside: how long they last, how wide, whether they parse.

RFC 6716 section 3 and RFC 7587. No library here: the media worker imports this.
"""

from typing import Final

CLOCK_RATE: Final = 48_000
"Of RTP timestamps, whatever was sampled (RFC 7587 section 4.1)."
MAX_TICKS: Final = 5760
"120 ms: RFC 6716 section 3.2.5, R5."
MAX_FRAME: Final = 1275
"Octets: RFC 6716 section 3.2.1, R2."

_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
FRAME_TICKS: Final = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
"Duration of one frame by configuration (RFC 6716 table 2), in 48 kHz samples."
_NARROW: Final = frozenset((*range(12), *range(16, 24)))
"Configurations of at most 8 kHz of bandwidth."


def frame_count(packet: bytes) -> int:
    """Frames in a packet, from its first two octets; 0 if they say nothing."""
    if not packet:
        return 0
    code = packet[0] & 3
    if code < 3:
        return (1, 2, 2)[code]
    return packet[1] & 0x3F if len(packet) > 1 else 0


def packet_ticks(packet: bytes) -> int:
    """Duration of a packet in 48 kHz samples; 0 if it is none."""
    if not packet:
        return 0
    ticks = FRAME_TICKS[packet[0] >> 3] * frame_count(packet)
    return ticks if ticks <= MAX_TICKS else 0


def is_wide(toc: int) -> bool:
    """Whether a packet that begins with `toc` may hold audio above 8 kHz."""
    return toc >> 3 not in _NARROW


def concealment(packet: bytes) -> list[bytes]:
    """Packets that make a decoder bridge the time of `packet`, one for each frame.

    A frame of no octets is one that was lost or never sent (RFC 6716 section 3.2.1).
    """
    return [bytes((packet[0] & 0xFC,))] * frame_count(packet)


def is_well_formed(packet: bytes) -> bool:
    """Whether a decoder must be able to take the packet: RFC 6716 section 3.4."""
    if not packet_ticks(packet):
        return False
    body = packet[1:]
    match packet[0] & 3:
        case 0:
            return len(body) <= MAX_FRAME
        case 1:
            return len(body) % 2 == 0 and len(body) <= 2 * MAX_FRAME
        case 2:
            length, body = _length(body)
            return 0 <= length <= len(body) <= length + MAX_FRAME
        case _:
            return _is_code_3(body)


def _is_code_3(body: bytes) -> bool:
    """An arbitrary number of frames: RFC 6716 section 3.2.5."""
    variable, padded, count = body[0] & 0x80, body[0] & 0x40, body[0] & 0x3F
    body = body[1:]
    if padded:
        padding = 0
        while True:
            if not body:
                return False
            octet, body = body[0], body[1:]
            padding += min(octet, 254)
            if octet < 255:
                break
        if padding > len(body):
            return False
        body = body[: len(body) - padding]
    if not variable:
        return len(body) % count == 0 and len(body) // count <= MAX_FRAME
    total = 0
    for _ in range(count - 1):
        length, body = _length(body)
        if length < 0:
            return False
        total += length
    return total <= len(body) <= total + MAX_FRAME


def _length(body: bytes) -> tuple[int, bytes]:
    """A frame length (RFC 6716 section 3.2.1) and what follows it; -1 is none."""
    if not body:
        return -1, body
    first = body[0]
    if first < 252:
        return first, body[1:]
    if len(body) < 2:
        return -1, body
    return 4 * body[1] + first, body[2:]
