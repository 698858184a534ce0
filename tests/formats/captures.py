"""Readers of other people's packet captures: just enough for the corpora."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Datagram(NamedTuple):
    time_ns: int
    source_port: int
    destination_port: int
    payload: bytes


def read_capture(path: Path) -> list[Datagram]:
    """UDP payloads of a pcap, a pcapng, or rtpproxy's own record."""
    data = path.read_bytes()
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        frames = _pcapng(data)
    elif magic in {b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4"}:
        frames = _pcap(data)
    else:
        return list(_rtpproxy(data))
    datagrams = []
    for time_ns, link, frame in frames:
        datagram = _udp(time_ns, link, frame)
        if datagram is not None:
            datagrams.append(datagram)
    return datagrams


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


def _udp(time_ns: int, link: int, frame: bytes) -> Datagram | None:
    if link == 1:
        packet = frame[14:]
    elif link == 113:
        packet = frame[16:]
    elif link == 0:
        packet = frame[4:]
    else:
        packet = frame
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != 17:
        return None
    start = 4 * (packet[0] & 15)
    source, destination, length = struct.unpack_from(">HHH", packet, start)
    payload = packet[start + 8 : start + length]
    return Datagram(time_ns, source, destination, payload)
