"""Ogg pages around Opus packets: RFC 3533 and RFC 7845, as one stream needs.

libsndfile reads and writes Opus in Ogg only. So packets off the wire are wrapped to
be decoded, and what was encoded is unwrapped to be sent.
"""

import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

from agent.common.errors import AgentError

PAGE_PACKETS: Final = 42
"One RTP packet holds 1,500 octets, six segments: so many fit the 255 of a page."

_HEADER: Final = Struct("<4sBBqIIIB")
_SERIAL: Final = 1
_FIRST: Final = 2
_LAST: Final = 4
_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_ONES: Final = 0xFFFFFFFF


class OggError(AgentError):
    """The bytes are no Ogg stream of whole pages."""


def checksum(data: bytes) -> int:
    """The CRC of RFC 3533 section 6: zlib's, mirrored and without its inversions."""
    mirrored = zlib.crc32(data.translate(_REVERSED), _ONES) ^ _ONES
    return int(f"{mirrored:032b}"[::-1], 2)


def wrap_opus(packets: Iterable[tuple[bytes, int]], sample_rate: int) -> bytes:
    """An Ogg Opus file of (packet, duration in 48 kHz samples).

    `sample_rate` is what a reader shall decode to. Nothing is skipped at its start.
    """
    head = b"OpusHead" + bytes((1, 1, 0, 0)) + sample_rate.to_bytes(4, "little")
    out = [
        page(0, _FIRST, 0, [head + bytes(3)]),
        page(1, 0, 0, [b"OpusTags" + bytes(8)]),
    ]
    ticks = 0
    waiting: list[bytes] = []
    for packet, duration in packets:
        if len(waiting) == PAGE_PACKETS:
            out.append(page(len(out), 0, ticks, waiting))
            waiting = []
        waiting.append(packet)
        ticks += duration
    out.append(page(len(out), _LAST, ticks, waiting))
    return b"".join(out)


def unwrap(data: bytes) -> Iterator[bytes]:
    """The packets of an Ogg file with one stream. Raises OggError."""
    at = 0
    packet = bytearray()
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise OggError("The Ogg stream is cut off.")
        capture, version, *_, count = _HEADER.unpack_from(data, at)
        if capture != b"OggS" or version:
            raise OggError("This is no Ogg page.")
        sizes = data[at + _HEADER.size : at + _HEADER.size + count]
        start = at + _HEADER.size + count
        at = start + sum(sizes)
        if len(sizes) < count or at > len(data):
            raise OggError("The Ogg stream is cut off.")
        for size in sizes:
            packet += data[start : start + size]
            start += size
            if size < 255:
                yield bytes(packet)
                packet.clear()


class Page(NamedTuple):
    """The first page of some bytes."""

    serial: int
    body: bytes
    rest: bytes
    "What follows the page."


def split_page(data: bytes) -> Page | None:
    """The first page of what was written without a fault; None if it is not whole."""
    if len(data) < _HEADER.size:
        return None
    _, _, _, _, serial, _, _, count = _HEADER.unpack_from(data)
    start = _HEADER.size + count
    end = start + sum(data[_HEADER.size : start])
    if len(data) < max(start, end):
        return None
    return Page(serial, data[start:end], data[end:])


def page(
    number: int,
    flags: int,
    granule: int,
    packets: list[bytes],
    *,
    serial: int = _SERIAL,
) -> bytes:
    """One page of whole packets, of at most 255 segments together."""
    sizes = b"".join(
        b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
        for packet in packets
    )
    body = sizes + b"".join(packets)

    def header(crc: int) -> bytes:
        return _HEADER.pack(b"OggS", 0, flags, granule, serial, number, crc, len(sizes))

    return header(checksum(header(0) + body)) + body
