"""Sounds in the memory that main and the workers share: written, and read again."""

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Final, Protocol

from agent.media.sound import Sound, SoundPart

TICKS: Final = 160
"Of 8000 a second in a packet that cannot be cut: 20 ms."
_LENGTH: Final = Struct("!H")


class Octets(Protocol):
    """Memory; slices are bytes (as of `bytes` and `mmap`)."""

    def __getitem__(self, index: slice, /) -> bytes: ...


class Samples:
    """Audio of one octet per tick, to be cut anywhere."""

    whole: Final = False

    def __init__(self, memory: Octets, offset: int, size: int) -> None:
        self._memory = memory
        self._offset = offset
        self.ticks = size

    def cut(self, start: int, wanted: int) -> tuple[bytes, int]:
        """At most `wanted` ticks from `start` on, and how many they are."""
        end = max(start, min(start + wanted, self.ticks))
        return self._memory[self._offset + start : self._offset + end], end - start


class Packets:
    """Audio in packets of 20 ms, each to be sent as it is."""

    whole: Final = True

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = packets
        self.ticks = TICKS * len(packets)

    def cut(self, start: int, wanted: int) -> tuple[bytes, int]:
        """The packet that `start` lies in; none behind the last."""
        del wanted
        if start >= self.ticks:
            return b"", 0
        return self._packets[start // TICKS], TICKS


Playable = Mapping[str, Samples | Packets]
"A sound by the codecs it is there in."


def pack(sound: Sound) -> tuple[bytes, tuple[SoundPart, ...]]:
    """A sound's memory, and what lies where in it."""
    memory = bytearray()
    parts = []
    for codec, audio in sound.encodings.items():
        packed = not isinstance(audio, bytes)
        data = (
            audio
            if isinstance(audio, bytes)
            else b"".join(_LENGTH.pack(len(packet)) + packet for packet in audio)
        )
        parts.append(
            SoundPart(codec=codec, offset=len(memory), size=len(data), packed=packed)
        )
        memory += data
    return bytes(memory), tuple(parts)


def unpack(memory: Octets, parts: Sequence[SoundPart]) -> Playable:
    """The twin of `pack`."""
    return {
        part.codec: Packets(_packets(memory[part.offset : part.offset + part.size]))
        if part.packed
        else Samples(memory, part.offset, part.size)
        for part in parts
    }


def _packets(data: bytes) -> list[bytes]:
    packets = []
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        packets.append(data[at - length : at])
    return packets
