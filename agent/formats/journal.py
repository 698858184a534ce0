"""Sealed blocks of tapped packets: what a live recording is on disk.

Byte offsets, keys and the reasons are in FORMAT.md, section 4. A journal is a
header, data blocks, and after a clean close one end block; each block is
authenticated before anything in it is believed.
"""

import struct
from collections.abc import Iterator
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

FRAME: Final = struct.Struct(">BI")
FRAME_SIZE: Final = FRAME.size
DATA: Final = 1
END: Final = 2
COUNT: Final = struct.Struct(">Q")
TAG_SIZE: Final = 16
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
        size += FRAME.unpack_from(start, HEADER_SIZE)[1]
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


class BlockCipher:
    """Seals and opens the blocks of one journal file."""

    def __init__(self, header: JournalHeader, journal_key: bytes) -> None:
        if len(journal_key) != KEY_SIZE:
            raise JournalLimitError("A journal key is 32 bytes.")
        self._header = header.to_bytes()
        hkdf = HKDF(
            algorithm=SHA256(), length=KEY_SIZE, salt=header.salt, info=_BLOCK_INFO
        )
        self._cipher = ChaCha20Poly1305(hkdf.derive(journal_key))

    def seal(self, kind: int, counter: int, plain: bytes) -> bytes:
        """A block of a kind, DATA or END, behind so many data blocks."""
        sealed = self._cipher.encrypt(_nonce(kind, counter), plain, self._header)
        return FRAME.pack(kind, len(sealed)) + sealed

    def open(self, kind: int, counter: int, sealed: bytes) -> bytes | None:
        """What stands in a block, given without its FRAME; None if it is another."""
        try:
            return self._cipher.decrypt(_nonce(kind, counter), sealed, self._header)
        except InvalidTag:
            return None


def _nonce(kind: int, counter: int) -> bytes:
    # A bare counter is a safe nonce only because the key is bound to a salt drawn
    # for one writer start; the flag keeps a data block from passing for the end.
    return counter.to_bytes(11, "big") + (b"\x01" if kind == END else b"\x00")


class BlockSealer:
    """Seals the blocks of one journal file, in file order.

    Two sealers must never share a header: the salt would be used twice.
    """

    def __init__(self, header: JournalHeader, journal_key: bytes) -> None:
        self._cipher = BlockCipher(header, journal_key)
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
        sealed = self._cipher.seal(DATA, self._counter, records)
        self._counter += 1
        return sealed

    def end(self) -> bytes:
        """The end block: proof that `blocks` blocks are all there ever were."""
        if self._ended:
            raise JournalLimitError("This journal has ended already.")
        self._ended = True
        return self._cipher.seal(END, self._counter, COUNT.pack(self._counter))
