"""Every document that differs from a given one in a single bit."""

from collections.abc import Iterator


def flips(data: bytes) -> Iterator[bytes]:
    for index in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[index // 8] ^= 1 << index % 8
        yield bytes(flipped)
