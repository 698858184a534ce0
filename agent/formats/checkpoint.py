"""Records that outlive the process that wrote them, in memory: sans-IO.

What one process wrote the next one finds, to the last whole record: the layout is in
FORMAT.md, section 9. A record names its key; the last one of a key counts. When an
area is full, what counts is copied into the other one, which then takes its place in
one step; whatever is killed in the middle leaves the old one standing. Changes that
belong together are made together: the seal of the first record is written last.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from mmap import mmap
from typing import Final, NamedTuple, Self

from agent.common.errors import AgentError

MAGIC: Final = b"rcheckpt"
VERSION: Final = 1
HEADER_SIZE: Final = 4096
"One page: magic, version, boot, openings; then one slot for each of the two areas."
_HEAD: Final = struct.Struct(">8sH16sI")
_SLOTS: Final = (64, 128)
_SLOT: Final = struct.Struct(">QI")
"Generation of an area, and the opening that made it: who last wrote there …"
_CRC: Final = struct.Struct(">I")
"… and the CRC-32 of both. Of two whole slots the higher generation counts."
_RECORD: Final = struct.Struct(">IIBB")
"CRC-32 of all that follows, seeded with its slot's; bytes; length of key; kind."
_PUT: Final = 1
_REMOVE: Final = 2
MAX_KEY: Final = 255
SMALL: Final = 1 << 20
"Bytes up to which a log grows in any case before it is compacted."

Memory = memoryview | bytearray | mmap


class CheckpointError(AgentError):
    """A checkpoint cannot be read or written."""


class NotACheckpointError(CheckpointError):
    """The memory does not begin like a checkpoint, or has no whole area."""


class CheckpointVersionError(CheckpointError):
    """The checkpoint was written by another version of this software."""

    hint = "Nothing need be done: what was recorded is salvaged."


class OtherBootError(CheckpointError):
    """The checkpoint is of another boot: its clock says nothing here."""


class CheckpointFullError(CheckpointError):
    """What counts does not fit, compacted as it is."""

    permanent = False


class Checkpoint:
    """A map from keys to bytes, kept in memory that somebody else keeps too."""

    def __init__(self, memory: Memory, slot: "_Slot", openings: int) -> None:
        """Used by `create` and `open`."""
        self._memory = memory
        self._size = (len(memory) - HEADER_SIZE) // 2
        self._slot = slot
        self._start = self._end = slot.area(self._size)
        self._live = 0
        "Bytes of all values that count."
        self._places: dict[str, tuple[int, int]] = {}
        "Of each key: where its value begins and ends."
        self.openings = openings
        "How many processes have opened it since it was made."

    @classmethod
    def create(cls, memory: Memory, boot: bytes) -> Self:
        """Begin with zeroed memory; `boot` is the 16 bytes of the host's boot id."""
        _HEAD.pack_into(memory, 0, MAGIC, VERSION, boot, 0)
        slot = _Slot(1, 0)
        slot.write(memory)
        return cls(memory, slot, 0)

    @classmethod
    def open(cls, memory: Memory, boot: bytes) -> Self:
        """Find what was written before, to the last whole record.

        Raises NotACheckpointError, CheckpointVersionError, OtherBootError.
        """
        if len(memory) < HEADER_SIZE:
            raise NotACheckpointError("The memory is too short for a checkpoint.")
        magic, version, written, openings = _HEAD.unpack_from(memory)
        if magic != MAGIC:
            raise NotACheckpointError("The memory holds no checkpoint.")
        if version != VERSION:
            raise CheckpointVersionError(f"The checkpoint is of version {version}.")
        if written != boot:
            raise OtherBootError("The checkpoint is of another boot.")
        slots = [slot for area in (0, 1) if (slot := _read_slot(memory, area))]
        if not slots:
            raise NotACheckpointError("The checkpoint has no whole area.")
        openings = (openings + 1) & 0xFFFFFFFF
        _HEAD.pack_into(memory, 0, MAGIC, VERSION, boot, openings)
        found = cls(memory, max(slots), openings)
        found._replay()
        # What a killed process left behind the last whole record must never be taken
        # for one of ours.
        found._compact()
        return found

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> bytes | None:
        """What a key holds; None if it holds nothing."""
        place = self._places.get(key)
        return None if place is None else bytes(self._memory[slice(*place)])

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every key that holds something."""
        for key, place in self._places.items():
            yield key, bytes(self._memory[slice(*place)])

    def put(self, key: str, value: bytes) -> None:
        """Let `key` hold `value` from now on. Raises CheckpointFullError.

        Then it holds what it held before.
        """
        self.update({key: value})

    def remove(self, key: str) -> None:
        """Let `key` hold nothing. What it held stays in memory until compaction."""
        self.update({key: None})

    def update(self, changes: Mapping[str, bytes | None]) -> None:
        """Make several changes, all of them or none; None lets a key hold nothing.

        Raises CheckpointFullError; then nothing has changed.
        """
        records = [
            _Record(key, value)
            for key, value in changes.items()
            if value is not None or key in self._places
        ]
        if any(len(record.key.encode()) > MAX_KEY for record in records):
            raise CheckpointError("A key is too long.")
        needed = sum(record.size for record in records)
        if self._end - self._start + needed > self._bound:
            self._compact(needed)
        self._append(records)

    @property
    def _bound(self) -> int:
        """How long the log may grow: what is dead in it takes locked memory too."""
        return min(self._size, max(SMALL, 4 * self._live))

    # -- the log ------------------------------------------------------------------

    def _append(self, records: Sequence["_Record"]) -> None:
        first = self._end
        seal = b""
        for record in records:
            body = record.body
            crc = _CRC.pack(zlib.crc32(body, self._slot.crc))
            begin = self._end + _CRC.size
            end = begin + len(body)
            self._memory[begin:end] = body
            if self._end == first:
                seal = crc
            else:
                self._memory[self._end : begin] = crc
            self._end = end
        # Last: until it stands there, none of the records does.
        self._memory[first : first + len(seal)] = seal
        for record in records:
            first += record.size
            self._note(record.kind, record.key, first - len(record.value or b""), first)

    def _note(self, kind: int, key: str, begin: int, end: int) -> None:
        before = self._places.pop(key, None)
        if before is not None:
            self._live -= before[1] - before[0]
        if kind == _PUT:
            self._places[key] = begin, end
            self._live += end - begin

    def _replay(self) -> None:
        limit = self._start + self._size
        while self._end + _RECORD.size <= limit:
            at = self._end
            crc, length, name_length, kind = _RECORD.unpack_from(self._memory, at)
            end = at + _RECORD.size + name_length + length
            if end > limit or kind not in {_PUT, _REMOVE}:
                return
            body = self._memory[at + _CRC.size : end]
            if zlib.crc32(body, self._slot.crc) != crc:
                return
            begin = end - length
            key = bytes(self._memory[at + _RECORD.size : begin]).decode()
            self._end = end
            self._note(kind, key, begin, end)

    def _compact(self, needed: int = 0) -> None:
        """Go on in the other area, with what counts."""
        records = [_Record(key, value) for key, value in self.items()]
        live = sum(record.size for record in records)
        if live + needed > self._size:
            raise CheckpointFullError(
                f"What is to be kept takes {live + needed} of {self._size} bytes."
            )
        start, end = self._start, self._end
        # Under the number of this opening, for whoever was killed here before has
        # left records that must not be taken for ours.
        self._slot = _Slot(self._slot.generation + 1, self.openings)
        self._start = self._end = self._slot.area(self._size)
        self._places, self._live = {}, 0
        self._append(records)
        self._slot.write(self._memory)
        # The old area holds what has been removed: nobody shall find it.
        self._memory[start:end] = bytes(end - start)


class _Record(NamedTuple):
    """One change of one key."""

    key: str
    value: bytes | None

    @property
    def kind(self) -> int:
        return _REMOVE if self.value is None else _PUT

    @property
    def size(self) -> int:
        return _RECORD.size + len(self.key.encode()) + len(self.value or b"")

    @property
    def body(self) -> bytes:
        """All of it but the CRC."""
        name, value = self.key.encode(), self.value or b""
        return _RECORD.pack(0, len(value), len(name), self.kind)[_CRC.size :] + (
            name + value
        )


class _Slot(NamedTuple):
    """Which records of an area count."""

    generation: int
    opening: int

    @property
    def crc(self) -> int:
        return zlib.crc32(_SLOT.pack(*self))

    def area(self, size: int) -> int:
        """Where its area of `size` bytes begins."""
        return HEADER_SIZE + (self.generation % 2) * size

    def write(self, memory: Memory) -> None:
        at = _SLOTS[self.generation % 2]
        _SLOT.pack_into(memory, at, *self)
        _CRC.pack_into(memory, at + _SLOT.size, self.crc)


def _read_slot(memory: Memory, area: int) -> _Slot | None:
    """The slot of an area, if it is whole."""
    at = _SLOTS[area]
    slot = _Slot(*_SLOT.unpack_from(memory, at))
    (crc,) = _CRC.unpack_from(memory, at + _SLOT.size)
    return slot if slot.crc == crc and slot.generation % 2 == area else None
