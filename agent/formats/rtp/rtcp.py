"""RTCP packets, RFC 3550 section 6: parse a compound, serialise our own."""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct, error as pack_error
from typing import Final

from agent.common.errors import AgentError

MAX_COMPOUND: Final = 1500
"One Ethernet frame."

MAX_COUNT: Final = 31
"What the five bits of RC/SC can count."

CNAME: Final = 1
"SDES item type, RFC 3550 section 6.5.1."

_VERSION: Final = 2
_HEADER: Final = Struct("!BBH")
_SENDER_INFO: Final = Struct("!IQIII")
_REPORT_BLOCK: Final = Struct("!IIIIII")
_SSRC: Final = Struct("!I")
_SR, _RR, _SDES, _BYE = 200, 201, 202, 203


class RtcpError(AgentError):
    """The peer sent bytes that are not an RTCP compound packet."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """Reception of one source, RFC 3550 section 6.4.1."""

    ssrc: int
    fraction_lost: int
    "Of the last interval, in 1/256."
    cumulative_lost: int
    "Signed 24 bits: duplicates make it negative."
    highest_sequence: int
    "Cycles in the upper 16 bits."
    jitter: int
    "In timestamp units."
    last_sr: int = 0
    "The middle 32 bits of the NTP timestamp of the last sender report."
    delay_since_last_sr: int = 0
    "In 1/65536 s."

    def to_bytes(self) -> bytes:
        """Serialise; the loss is clamped to what 24 signed bits hold."""
        lost = max(-0x800000, min(0x7FFFFF, self.cumulative_lost)) & 0xFFFFFF
        return _pack(
            _REPORT_BLOCK,
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        )


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a source sent, and what it receives: section 6.4.1."""

    ssrc: int
    ntp_time: int
    "64-bit NTP timestamp."
    rtp_timestamp: int
    "The same moment on the stream's RTP clock."
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    def to_bytes(self) -> bytes:
        info = _pack(
            _SENDER_INFO,
            self.ssrc,
            self.ntp_time,
            self.rtp_timestamp,
            self.packet_count & 0xFFFFFFFF,
            self.octet_count & 0xFFFFFFFF,
        )
        return _packet(_SR, len(self.reports), info + _join(self.reports))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a participant receives who sends nothing: section 6.4.2."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def to_bytes(self) -> bytes:
        body = _ssrc(self.ssrc) + _join(self.reports)
        return _packet(_RR, len(self.reports), body)


@dataclass(frozen=True, slots=True)
class SdesChunk:
    """The description of one source: (item type, text) pairs in wire order."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]

    def __repr__(self) -> str:
        # A CNAME often is user@host.
        return f"SdesChunk(ssrc={self.ssrc:#010x}, {len(self.items)} items)"


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Who the sources are: section 6.5."""

    chunks: tuple[SdesChunk, ...]

    @classmethod
    def of(cls, ssrc: int, cname: bytes) -> "SourceDescription":
        """The one every compound packet must carry."""
        return cls((SdesChunk(ssrc, ((CNAME, cname),)),))

    def to_bytes(self) -> bytes:
        body = b""
        for chunk in self.chunks:
            part = _ssrc(chunk.ssrc)
            for kind, text in chunk.items:
                if kind not in range(1, 256) or len(text) > 255:
                    raise RtcpError("an SDES item does not fit its place")
                part += bytes((kind, len(text))) + text
            # At least one null octet ends a chunk, then up to the next word.
            body += part + bytes(4 - len(part) % 4)
        return _packet(_SDES, len(self.chunks), body)


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that leave: section 6.6."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""

    def to_bytes(self) -> bytes:
        body = b"".join(map(_ssrc, self.ssrcs))
        if self.reason:
            if len(self.reason) > 255:
                raise RtcpError("a BYE reason is longer than 255 octets")
            text = bytes((len(self.reason),)) + self.reason
            body += text + bytes(-len(text) % 4)
        return _packet(_BYE, len(self.ssrcs), body)


@dataclass(frozen=True, slots=True)
class UnknownRtcp:
    """A packet type this module has no words for, such as APP or feedback."""

    packet_type: int
    count: int
    body: bytes


Rtcp = SenderReport | ReceiverReport | SourceDescription | Bye | UnknownRtcp


def parse_compound(data: bytes) -> list[Rtcp]:
    """Parse one compound packet. Raises RtcpError and nothing else.

    Any type may come first (RFC 5506); profile-specific extensions of reports are
    left out.
    """
    if len(data) > MAX_COMPOUND:
        raise RtcpError(f"longer than {MAX_COMPOUND} octets")
    if len(data) < 4:
        raise RtcpError("shorter than an RTCP header")
    packets = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise RtcpError("an RTCP header is cut off")
        first, kind, words = _HEADER.unpack_from(data, at)
        if first >> 6 != _VERSION:
            raise RtcpError("not RTCP version 2")
        start, at = at + 4, at + 4 + 4 * words
        if at > len(data):
            raise RtcpError("an RTCP packet is cut off")
        body = bytes(data[start:at])
        if first & 0x20:
            # Section 6.4.1: only the last packet of a compound is padded, by octets
            # that count themselves and fill whole words.
            if at != len(data) or not body or not 0 < body[-1] <= len(body):
                raise RtcpError("wrong RTCP padding")
            body = body[: -body[-1]]
        packets.append(_parse_packet(kind, first & 0x1F, body))
    return packets


def compound(packets: Iterable[Rtcp]) -> bytes:
    """Serialise several packets into one datagram.

    Section 6.1 wants a report first and a CNAME in each. Raises RtcpError if a field
    does not fit, or UnknownRtcp is among them.
    """
    parts = []
    for packet in packets:
        if isinstance(packet, UnknownRtcp):
            raise RtcpError("only known RTCP packet types can be sent")
        parts.append(packet.to_bytes())
    return b"".join(parts)


def _parse_packet(kind: int, count: int, body: bytes) -> Rtcp:
    match kind:
        case 200:
            if len(body) < _SENDER_INFO.size:
                raise RtcpError("a sender report is cut off")
            ssrc, ntp, rtp, sent, octets = _SENDER_INFO.unpack_from(body)
            reports = _parse_reports(body, _SENDER_INFO.size, count)
            return SenderReport(ssrc, ntp, rtp, sent, octets, reports)
        case 201:
            if len(body) < 4:
                raise RtcpError("a receiver report is cut off")
            ssrc = int.from_bytes(body[:4], "big")
            return ReceiverReport(ssrc, _parse_reports(body, 4, count))
        case 202:
            return SourceDescription(_parse_chunks(body, count))
        case 203:
            return _parse_bye(body, count)
        case _:
            return UnknownRtcp(kind, count, body)


def _parse_reports(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    if at + count * _REPORT_BLOCK.size > len(body):
        raise RtcpError("a report block is cut off")
    reports = []
    for start in range(at, at + count * _REPORT_BLOCK.size, _REPORT_BLOCK.size):
        ssrc, loss, highest, jitter, lsr, dlsr = _REPORT_BLOCK.unpack_from(body, start)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 1 << 24
        reports.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, lsr, dlsr))
    return tuple(reports)


def _parse_chunks(body: bytes, count: int) -> tuple[SdesChunk, ...]:
    chunks = []
    at = 0
    for _ in range(count):
        if at + 4 > len(body):
            raise RtcpError("an SDES chunk is cut off")
        ssrc = int.from_bytes(body[at : at + 4], "big")
        at += 4
        items = []
        while True:
            if at >= len(body):
                raise RtcpError("an SDES chunk has no end")
            kind = body[at]
            if kind == 0:
                break
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise RtcpError("an SDES item is cut off")
            end = at + 2 + body[at + 1]
            items.append((kind, body[at + 2 : end]))
            at = end
        at += 4 - at % 4
        chunks.append(SdesChunk(ssrc, tuple(items)))
    return tuple(chunks)


def _parse_bye(body: bytes, count: int) -> Bye:
    end = 4 * count
    if end > len(body):
        raise RtcpError("a BYE is cut off")
    ssrcs = tuple(int.from_bytes(body[at : at + 4], "big") for at in range(0, end, 4))
    reason = b""
    if end < len(body):
        if end + 1 + body[end] > len(body):
            raise RtcpError("a BYE reason is cut off")
        reason = body[end + 1 : end + 1 + body[end]]
    return Bye(ssrcs, reason)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    if count > MAX_COUNT:
        raise RtcpError(f"an RTCP packet holds at most {MAX_COUNT} blocks")
    return _HEADER.pack(_VERSION << 6 | count, kind, len(body) // 4) + body


def _ssrc(ssrc: int) -> bytes:
    return _pack(_SSRC, ssrc)


def _join(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(report.to_bytes() for report in reports)


def _pack(layout: Struct, *fields: int) -> bytes:
    try:
        return layout.pack(*fields)
    except pack_error as error:
        raise RtcpError("an RTCP field is out of range") from error
