"""Readers of other people's packet captures: just enough for the corpora."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LINK_HEADERS = {0: 4, 1: 14, 113: 16}
"Octets before the IP packet, by link type: loopback, Ethernet, Linux cooked."
_UDP, _TCP = 17, 6


class Datagram(NamedTuple):
    time_ns: int
    source_port: int
    destination_port: int
    payload: bytes


def read_capture(path: Path) -> list[Datagram]:
    """UDP payloads of a pcap, a pcapng, or rtpproxy's own record."""
    frames = _frames(path)
    if frames is None:
        return list(_rtpproxy(path.read_bytes()))
    datagrams = []
    for time_ns, link, frame in frames:
        segment = _segment(link, frame, _UDP)
        if len(segment) >= 8:
            source, destination, length = struct.unpack_from(">HHH", segment)
            payload = segment[8:length]
            datagrams.append(Datagram(time_ns, source, destination, payload))
    return datagrams


def read_streams(path: Path) -> list[bytes]:
    """What each direction of each TCP connection carried, in order.

    A hole ends its direction; what was sent twice counts once.
    """
    directions: dict[bytes, dict[int, bytes]] = {}
    for _, link, frame in _frames(path) or ():
        segment = _segment(link, frame, _TCP)
        if len(segment) < 20:
            continue
        [sequence] = struct.unpack_from(">I", segment, 4)
        payload = segment[4 * (segment[12] >> 4) :]
        # A SYN takes a number of its own, and is where a direction begins.
        first = sequence + (segment[13] >> 1 & 1)
        if payload or segment[13] & 2:
            pieces = directions.setdefault(_ends(link, frame) + segment[:4], {})
            pieces[first] = max(pieces.get(first, b""), payload, key=len)
    return [whole for pieces in directions.values() if (whole := _joined(pieces))]


def _joined(pieces: dict[int, bytes]) -> bytes:
    expected = min(pieces)
    whole = b""
    for sequence, payload in sorted(pieces.items()):
        if sequence > expected:
            break
        whole += payload[expected - sequence :]
        expected = max(expected, sequence + len(payload))
    return whole


def _frames(path: Path) -> Iterator[tuple[int, int, bytes]] | None:
    data = path.read_bytes()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return _pcapng(data)
    if data[:4] in {b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4"}:
        return _pcap(data)
    return None


def _rtpproxy(data: bytes) -> Iterator[Datagram]:
    at = 0
    while at + 30 <= len(data):
        (port,) = struct.unpack_from(">H", data, at + 2)
        seconds, length = struct.unpack_from("<dH", data, at + 20)
        at += 30
        yield Datagram(round(seconds * 1e9), port, 0, data[at : at + length])
        at += length


def _pcap(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    (link,) = struct.unpack_from(order + "I", data, 20)
    at = 24
    while at + 16 <= len(data):
        seconds, micros, length, _ = struct.unpack_from(order + "IIII", data, at)
        at += 16
        frame = data[at : at + length]
        yield seconds * 1_000_000_000 + micros * 1000, link, frame
        at += length


def _pcapng(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    links: list[int] = []
    order = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    at = 0
    while at + 12 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind == 1:
            links.append(struct.unpack_from(order + "H", data, at + 8)[0])
        elif kind == 6:
            fields = struct.unpack_from(order + "IIIII", data, at + 8)
            interface, high, low, length, _ = fields
            start = at + 28
            micros = high << 32 | low
            yield micros * 1000, links[interface], data[start : start + length]
        at += size


def _packet(link: int, frame: bytes) -> bytes:
    return frame[_LINK_HEADERS.get(link, 0) :]


def _segment(link: int, frame: bytes, protocol: int) -> bytes:
    """What an unfragmented IP packet carries, if it is of that protocol."""
    packet = _packet(link, frame)
    if len(packet) >= 20 and packet[0] >> 4 == 4 and packet[9] == protocol:
        # UDP has a length of its own; behind TCP an Ethernet frame may be padded.
        [length] = struct.unpack_from(">H", packet, 2)
        return packet[4 * (packet[0] & 15) : length if protocol == _TCP else None]
    if len(packet) >= 40 and packet[0] >> 4 == 6 and packet[6] == protocol:
        return packet[40:]
    return b""


def _ends(link: int, frame: bytes) -> bytes:
    """Source and destination address."""
    packet = _packet(link, frame)
    return packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
