"""The blocks of a recording's journals: opened in order once, then any of them again.

Of a long recording memory cannot hold the audio. What is read first tells where each
packet stands; its payload is read again, from its block, when its time has come. Those
opened last are kept: what is heard at one time came at one time, give or take what the
network did.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from agent.formats.journal import (
    DATA,
    FRAME_SIZE,
    HEADER_SIZE,
    MAX_BLOCK,
    TAG_SIZE,
    BlockCipher,
    JournalError,
)
from agent.formats.journal_reading import JournalBlocks, iter_blocks

KEPT: Final = 16 << 20
"""Octets of opened blocks. Legs are read one after the other, half a minute of each:
of sixteen legs of G.711 a third of it."""
_BITS: Final = MAX_BLOCK.bit_length()
_MASK: Final = (1 << _BITS) - 1


class Readable(Protocol):
    """A file of bytes, or what reads like one."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...


class JournalChangedError(JournalError):
    """A block that has opened before does not open again."""

    permanent = False
    hint = "Check the disk; it is tried again."


class _Block(NamedTuple):
    file: Readable
    cipher: BlockCipher
    counter: int
    offset: int
    "Of its sealed bytes in the file."
    size: int


class StoredBlocks:
    """Where each block stands, and those that were opened last.

    A place is one number: which block, and which of its bytes.
    """

    def __init__(self, journal_key: bytes) -> None:
        self._key = journal_key
        self._blocks: list[_Block] = []
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0

    def read(self, file: Readable) -> "StoredJournal":
        """Begin a journal; raises what JournalReader.feed raises."""
        journal = iter_blocks(file.read, self._key)
        return StoredJournal(
            self, file, journal, BlockCipher(journal.header, self._key)
        )

    def add(self, block: _Block) -> int:
        """Take note of a block; returns the place of its first byte."""
        self._blocks.append(block)
        return (len(self._blocks) - 1) << _BITS

    def octets(
        self, places: Sequence[int], sizes: Sequence[int]
    ) -> Iterator[memoryview]:
        """What stands at each of the places, so many bytes of it.

        Raises JournalChangedError, OSError.
        """
        last, opened = -1, memoryview(b"")
        for place, size in zip(places, sizes, strict=True):
            number, start = place >> _BITS, place & _MASK
            if number != last:
                last, opened = number, memoryview(self._opened(number))
            yield opened[start : start + size]

    def _opened(self, number: int) -> bytes:
        opened = self._kept.get(number)
        if opened is not None:
            self._kept.move_to_end(number)
            return opened
        opened = self._kept[number] = self._open(self._blocks[number])
        self._size += len(opened)
        while self._size > KEPT:
            self._size -= len(self._kept.popitem(last=False)[1])
        return opened

    def _open(self, block: _Block) -> bytes:
        block.file.seek(block.offset)
        sealed = block.file.read(block.size)
        opened = block.cipher.open(DATA, block.counter, sealed)
        if opened is None:
            raise JournalChangedError("A journal has changed since it was read.")
        return opened


class StoredJournal:
    """One journal's blocks in order, each with the place of its first byte."""

    def __init__(
        self,
        store: StoredBlocks,
        file: Readable,
        blocks: JournalBlocks,
        cipher: BlockCipher,
    ) -> None:
        self._store = store
        self._file = file
        self._blocks = blocks
        self._cipher = cipher

    @property
    def complete(self) -> bool:
        """Whether its end block was reached; final once all is read."""
        return self._blocks.complete

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        # Block follows block: where one does not open, none is read any more.
        offset = HEADER_SIZE
        for counter, opened in enumerate(self._blocks):
            offset += FRAME_SIZE
            size = len(opened) + TAG_SIZE
            block = _Block(self._file, self._cipher, counter, offset, size)
            yield self._store.add(block), opened
            offset += size
