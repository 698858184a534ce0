"""Sealed blocks of tapped packets: what a live recording is on disk.

Byte offsets, keys and the reasons are in FORMAT.md, section 4. A journal is a
header, data blocks, and after a clean close one end block; each block is
authenticated before anything in it is believed.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.common.errors import AgentError

MAGIC: Final = b"recjrnl\n"
VERSION: Final = 1

_HEADER: Final = struct.Struct(">8sHHI16s8s32sQQ")
HEADER_SIZE: Final = _HEADER.size
KEY_SIZE: Final = 32
SALT_SIZE: Final = 32
KEY_ID_SIZE: Final = 8
_BLOCK_INFO: Final = b"recording-agent journal block v1"

_FRAME: Final = struct.Struct(">BI")
FRAME_SIZE: Final = _FRAME.size
_DATA: Final = 1
_END: Final = 2
_COUNT: Final = struct.Struct(">Q")
_TAG_SIZE: Final = 16
MAX_BLOCK: Final = 1 << 20
"Bytes of records in one block: one second of 200 kB/s would fill a fifth of it."
MAX_BLOCKS: Final = 1 << 24
"Data blocks under one salt: half a year of seconds, and no nonce comes near its end."

_RECORD: Final = struct.Struct(">BHQ")
RECORD_SIZE: Final = _RECORD.size
MAX_PACKET: Final = 1500
"An RTP packet as received; nothing larger fits the Ethernets it came over."
MAX_NOTE: Final = 60_000
"Bytes of one note; the names of a hundred officers fit."
MAX_LEG: Final = 254
_NOTE: Final = 255

_READ: Final = 1 << 18


class JournalError(AgentError):
    """A journal could not be written or read."""


class JournalLimitError(JournalError):
    """The writer asked for more than the format holds: our own mistake."""


class NotAJournalError(JournalError):
    """The bytes do not begin with a whole journal header."""


class JournalVersionError(JournalError):
    """The journal is of a version this software does not know."""

    hint = "Open it with a newer version of this software."


class WrongJournalKeyError(JournalError):
    """The first block does not open: another key's journal, or it was altered."""


class JournalRecordError(JournalError):
    """An authentic block does not hold whole records: the writer's mistake."""


class PacketRecord(NamedTuple):
    """One RTP packet as it arrived."""

    leg: int
    "Its index: of a call 0 the customer, 1 the officer."
    arrival_ns: int
    "Nanoseconds of CLOCK_MONOTONIC on the recording host."
    packet: bytes


class NoteRecord(NamedTuple):
    """JSON of an agent.model.recording.Note."""

    note: bytes


Record = PacketRecord | NoteRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHeader:
    """The clear beginning of a journal; says nothing about any person."""

    recording_id: str
    "A UUID in its usual text form."
    epoch: int
    "Which writer start of this recording wrote the file, from 0."
    key_id: bytes
    "From `key_id` of the segment's recipient."
    salt: bytes = field(repr=False)
    "32 random bytes, drawn for this file alone."
    utc_ns: int
    "Nanoseconds since the Unix epoch when the file was begun …"
    monotonic_ns: int
    "… and the same moment on CLOCK_MONOTONIC."

    def to_bytes(self) -> bytes:
        """Serialise. Raises JournalLimitError if a field does not fit the format."""
        try:
            recording = UUID(self.recording_id)
        except ValueError:
            raise JournalLimitError("The recording's id is not a UUID.") from None
        if (
            str(recording) != self.recording_id
            or len(self.key_id) != KEY_ID_SIZE
            or len(self.salt) != SALT_SIZE
        ):
            raise JournalLimitError("A journal header's field has the wrong form.")
        try:
            return _HEADER.pack(
                MAGIC,
                VERSION,
                HEADER_SIZE,
                self.epoch,
                recording.bytes,
                self.key_id,
                self.salt,
                self.utc_ns,
                self.monotonic_ns,
            )
        except struct.error:
            raise JournalLimitError(
                "A journal header's number is out of range."
            ) from None

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> Self:
        """Read the header at the start of `data`.

        Raises:
            NotAJournalError: it is cut short, or something else.
            JournalVersionError: it is of another version.
        """
        if len(data) < HEADER_SIZE or bytes(data[: len(MAGIC)]) != MAGIC:
            raise NotAJournalError("This is not a journal.")
        _, version, size, epoch, recording, key, salt, utc, monotonic = (
            _HEADER.unpack_from(data)
        )
        if version != VERSION:
            raise JournalVersionError(f"This journal is of version {version}.")
        if size != HEADER_SIZE:
            raise NotAJournalError("This journal's header has a wrong length.")
        return cls(
            recording_id=str(UUID(bytes=recording)),
            epoch=epoch,
            key_id=key,
            salt=salt,
            utc_ns=utc,
            monotonic_ns=monotonic,
        )


def peek_header(data: bytes | bytearray | memoryview) -> JournalHeader:
    """The header of a journal, without its key; see JournalHeader.parse."""
    return JournalHeader.parse(data)


def is_blank(start: bytes) -> bool:
    """Whether a file that begins so can hold nothing that opens; told without its key.

    So is what a power cut leaves before the first block is durable: zeros, or a block
    that is not all there. What is something else altogether is not for us to judge.
    """
    if not any(start):
        return True
    if not start.startswith(MAGIC[: len(start)]):
        return False
    size = HEADER_SIZE + FRAME_SIZE
    if len(start) >= size:
        size += _FRAME.unpack_from(start, HEADER_SIZE)[1]
    return len(start) < size


def key_id(recipient: str) -> bytes:
    """Names a segment's key pair in the header: 8 bytes of SHA-256."""
    return sha256(recipient.encode()).digest()[:KEY_ID_SIZE]


def pack_packet(leg: int, arrival_ns: int, packet: bytes) -> bytes:
    """One packet as a record, to be joined to others and sealed.

    Raises JournalLimitError if the packet or the leg's number is too large.
    """
    size = len(packet)
    if size > MAX_PACKET or leg > MAX_LEG:
        raise JournalLimitError("A packet does not fit the journal.")
    return _RECORD.pack(leg, size, arrival_ns) + packet


def pack_note(note: bytes) -> bytes:
    """One note as a record. Raises JournalLimitError beyond MAX_NOTE bytes."""
    if len(note) > MAX_NOTE:
        raise JournalLimitError("A note does not fit the journal.")
    return _RECORD.pack(_NOTE, len(note), 0) + note


def iter_records(
    block: bytes,
) -> Iterator[tuple[int, int, bytes] | NoteRecord]:
    """The records of one opened block, in order.

    Packets come as plain tuples (leg, arrival_ns, packet), laid out like
    PacketRecord: an hour of conversation holds 360,000 of them.
    Raises JournalRecordError where the block does not hold whole records.
    """
    unpack_from = _RECORD.unpack_from
    position, end = 0, len(block)
    while position < end:
        start = position + RECORD_SIZE
        if start > end:
            raise JournalRecordError("A record's head is cut short.")
        leg, size, arrival_ns = unpack_from(block, position)
        position = start + size
        if position > end:
            raise JournalRecordError("A record is cut short.")
        if leg == _NOTE:
            yield NoteRecord(block[start:position])
        else:
            yield leg, arrival_ns, block[start:position]


def _block_cipher(journal_key: bytes, salt: bytes) -> ChaCha20Poly1305:
    if len(journal_key) != KEY_SIZE:
        raise JournalLimitError("A journal key is 32 bytes.")
    hkdf = HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=_BLOCK_INFO)
    return ChaCha20Poly1305(hkdf.derive(journal_key))


def _nonce(counter: int, *, end: bool) -> bytes:
    # A bare counter is a safe nonce only because the key is bound to a salt drawn
    # for one writer start; the flag keeps a data block from passing for the end.
    return counter.to_bytes(11, "big") + (b"\x01" if end else b"\x00")


class BlockSealer:
    """Seals the blocks of one journal file, in file order.

    Two sealers must never share a header: the salt would be used twice.
    """

    def __init__(self, header: JournalHeader, journal_key: bytes) -> None:
        self._header = header.to_bytes()
        self._cipher = _block_cipher(journal_key, header.salt)
        self._counter = 0
        self._ended = False

    @property
    def blocks(self) -> int:
        """Data blocks sealed so far."""
        return self._counter

    def seal(self, records: bytes) -> bytes:
        """One block of whole records, ready to append to the file.

        Raises JournalLimitError beyond MAX_BLOCK bytes or MAX_BLOCKS blocks, and
        after `end`.
        """
        if len(records) > MAX_BLOCK:
            raise JournalLimitError("A journal block is too long.")
        if self._ended or self._counter >= MAX_BLOCKS:
            raise JournalLimitError("This journal takes no more blocks.")
        sealed = self._cipher.encrypt(
            _nonce(self._counter, end=False), records, self._header
        )
        self._counter += 1
        return _FRAME.pack(_DATA, len(sealed)) + sealed

    def end(self) -> bytes:
        """The end block: proof that `blocks` blocks are all there ever were."""
        if self._ended:
            raise JournalLimitError("This journal has ended already.")
        self._ended = True
        sealed = self._cipher.encrypt(
            _nonce(self._counter, end=True), _COUNT.pack(self._counter), self._header
        )
        return _FRAME.pack(_END, len(sealed)) + sealed


class JournalReader:
    """Opens a journal fed in pieces of any size; memory is bounded by one block.

    Once all is fed, `complete`, `torn_bytes` and `damaged_at` say how it ended.
    """

    def __init__(self, journal_key: bytes) -> None:
        self._key = journal_key
        self._buffer = bytearray()
        self._offset = 0
        self._cipher: ChaCha20Poly1305 | None = None
        self._associated = b""
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

    def _open_blocks(self, cipher: ChaCha20Poly1305) -> list[bytes]:
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

    def _take_header(self) -> ChaCha20Poly1305 | None:
        if not self._buffer.startswith(MAGIC[: len(self._buffer)]):
            raise NotAJournalError("This is not a journal.")
        if len(self._buffer) < HEADER_SIZE:
            return None
        self.header = JournalHeader.parse(self._buffer)
        self._cipher = _block_cipher(self._key, self.header.salt)
        self._associated = bytes(self._buffer[:HEADER_SIZE])
        del self._buffer[:HEADER_SIZE]
        self._offset = HEADER_SIZE
        return self._cipher

    def _open_block(
        self, cipher: ChaCha20Poly1305, position: int, opened: list[bytes]
    ) -> int:
        """Open the block at `position`; returns its size, or 0 to stop here."""
        start = position + FRAME_SIZE
        if len(self._buffer) < start:
            return 0
        kind: int
        size: int
        kind, size = _FRAME.unpack_from(self._buffer, position)
        if not kind and not size:
            # A file system may leave zeros where a power cut lost a write.
            self._stopped = True
            return 0
        if kind not in {_DATA, _END} or not _TAG_SIZE <= size <= MAX_BLOCK + _TAG_SIZE:
            return self._stop_at_damage(position)
        end = start + size
        if len(self._buffer) < end:
            return 0
        nonce = _nonce(self.blocks, end=kind == _END)
        try:
            plain = cipher.decrypt(
                nonce, bytes(self._buffer[start:end]), self._associated
            )
        except InvalidTag:
            if not self.blocks:
                raise WrongJournalKeyError(
                    "The journal's first block does not open."
                ) from None
            return self._stop_at_damage(position)
        if kind == _END:
            self._stopped = True
            if plain != _COUNT.pack(self.blocks):
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
