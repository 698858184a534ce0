"""Journals read: from bytes as they come to the records of each block that opens.

Up to where it was torn or damaged: each block is authenticated before anything in it
is believed. FORMAT.md section 4 has the format, agent.formats.journal its making.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from agent.formats.journal import (
    COUNT,
    DATA,
    END,
    FRAME,
    FRAME_SIZE,
    HEADER_SIZE,
    MAGIC,
    MAX_BLOCK,
    TAG_SIZE,
    BlockCipher,
    JournalHeader,
    NotAJournalError,
    NoteRecord,
    PacketRecord,
    Record,
    WrongJournalKeyError,
    iter_records,
)

_READ: Final = 1 << 18


class JournalReader:
    """Opens a journal fed in pieces of any size; memory is bounded by one block.

    Once all is fed, `complete`, `torn_bytes` and `damaged_at` say how it ended.
    """

    def __init__(self, journal_key: bytes) -> None:
        self._key = journal_key
        self._buffer = bytearray()
        self._offset = 0
        self._cipher: BlockCipher | None = None
        self._stopped = False
        self._dropped = 0
        self.header: JournalHeader | None = None
        "Known once HEADER_SIZE bytes were fed."
        self.blocks = 0
        "Data blocks opened."
        self.complete = False
        "Whether the end block was reached: nothing is missing."
        self.damaged_at: int | None = None
        "Offset of the first block that is not as written; nothing after it is read."

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last block that opened: a torn write, or damage."""
        return self._dropped + len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take more of the file; returns the records of each block now whole.

        Raises:
            NotAJournalError, JournalVersionError: from the header.
            WrongJournalKeyError: the first block does not open.
        """
        if self._stopped:
            self._dropped += len(data)
            return []
        self._buffer += data
        cipher = self._cipher or self._take_header()
        return self._open_blocks(cipher) if cipher else []

    def _open_blocks(self, cipher: BlockCipher) -> list[bytes]:
        opened: list[bytes] = []
        position = 0
        while not self._stopped:
            size = self._open_block(cipher, position, opened)
            if not size:
                break
            position += size
        del self._buffer[:position]
        self._offset += position
        if self._stopped:
            self._dropped += len(self._buffer)
            self._buffer.clear()
        return opened

    def _take_header(self) -> BlockCipher | None:
        if not self._buffer.startswith(MAGIC[: len(self._buffer)]):
            raise NotAJournalError("This is not a journal.")
        if len(self._buffer) < HEADER_SIZE:
            return None
        self.header = JournalHeader.parse(self._buffer)
        self._cipher = BlockCipher(self.header, self._key)
        del self._buffer[:HEADER_SIZE]
        self._offset = HEADER_SIZE
        return self._cipher

    def _open_block(
        self, cipher: BlockCipher, position: int, opened: list[bytes]
    ) -> int:
        """Open the block at `position`; returns its size, or 0 to stop here."""
        start = position + FRAME_SIZE
        if len(self._buffer) < start:
            return 0
        kind: int
        size: int
        kind, size = FRAME.unpack_from(self._buffer, position)
        if not kind and not size:
            # A file system may leave zeros where a power cut lost a write.
            self._stopped = True
            return 0
        if kind not in {DATA, END} or not TAG_SIZE <= size <= MAX_BLOCK + TAG_SIZE:
            return self._stop_at_damage(position)
        end = start + size
        if len(self._buffer) < end:
            return 0
        plain = cipher.open(kind, self.blocks, bytes(self._buffer[start:end]))
        if plain is None:
            if not self.blocks:
                raise WrongJournalKeyError("The journal's first block does not open.")
            return self._stop_at_damage(position)
        if kind == END:
            self._stopped = True
            if plain != COUNT.pack(self.blocks):
                return self._stop_at_damage(position)
            self.complete = True
        else:
            self.blocks += 1
            opened.append(plain)
        return FRAME_SIZE + size

    def _stop_at_damage(self, position: int) -> int:
        self._stopped = True
        self.damaged_at = self._offset + position
        return 0


class JournalBlocks:
    """The opened blocks of a journal read in pieces; what iter_blocks returns."""

    def __init__(self, read: Callable[[int], bytes], journal_key: bytes) -> None:
        self._read = read
        self._reader = JournalReader(journal_key)
        self._first: list[bytes] = []
        while self._reader.header is None:
            data = read(_READ)
            if not data:
                raise NotAJournalError("This is not a journal.")
            self._first += self._reader.feed(data)
        self.header = self._reader.header

    def __iter__(self) -> Iterator[bytes]:
        yield from self._first
        self._first = []
        while data := self._read(_READ):
            yield from self._reader.feed(data)

    @property
    def blocks(self) -> int:
        """Data blocks opened so far."""
        return self._reader.blocks

    @property
    def complete(self) -> bool:
        """Whether the end block was reached: nothing is missing."""
        return self._reader.complete

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last block that opened; final once all is read."""
        return self._reader.torn_bytes

    @property
    def damaged_at(self) -> int | None:
        """Offset of the first block that is not as written, if any."""
        return self._reader.damaged_at


def iter_blocks(read: Callable[[int], bytes], journal_key: bytes) -> JournalBlocks:
    """Open a journal through `read` (a file's method), in bounded memory.

    The header is read at once; iterating yields each block's records as bytes for
    iter_records, and may raise what JournalReader.feed raises.
    """
    return JournalBlocks(read, journal_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A whole journal in memory; see JournalReader for the fields."""

    header: JournalHeader
    records: list[Record] = field(repr=False)
    complete: bool
    torn_bytes: int
    blocks: int
    damaged_at: int | None


def read_journal(data: bytes | memoryview, journal_key: bytes) -> Journal:
    """Open a journal held in memory, up to where it was torn or damaged.

    Raises JournalError if it has no whole header, is of another version, does not
    open under this key, or holds blocks that are not records.
    """
    reader = JournalReader(journal_key)
    blocks = reader.feed(data)
    if reader.header is None:
        raise NotAJournalError("This is not a journal.")
    return Journal(
        header=reader.header,
        records=[
            record if isinstance(record, NoteRecord) else PacketRecord(*record)
            for block in blocks
            for record in iter_records(block)
        ],
        complete=reader.complete,
        torn_bytes=reader.torn_bytes,
        blocks=reader.blocks,
        damaged_at=reader.damaged_at,
    )
