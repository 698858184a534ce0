"""One recording in the worker: from tapped packets to sealed blocks.

Blocks stay in this process's memory until the key envelope is known to be durable;
before that, nothing of a recording touches the disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from agent.formats.journal import (
    BlockSealer,
    JournalHeader,
    JournalLimitError,
    iter_records,
    pack_note,
    pack_packet,
)

BLOCK_NS: Final = 900_000_000
"Age at which a block is sealed: with the hand-over, a killed process loses ≤ 1 s."
BLOCK_BYTES: Final = 64 * 1024
MAX_WAIT_NS: Final = 30_000_000_000
"How long blocks wait in memory for the grant."
MAX_WAIT_BYTES: Final = 4 * 1024 * 1024
_AUDIO_HEADER: Final = 12


class Writer(Protocol):
    """Where blocks go; JournalWriter's half that a tap needs."""

    def open(self, journal: str, path: Path) -> None: ...
    def append(self, journal: str, data: bytes) -> bool: ...
    def close(self, journal: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which journal file a tap writes, and under which key."""

    header: JournalHeader
    journal_key: bytes
    path: Path

    def __repr__(self) -> str:
        return f"Target(recording={self.header.recording_id!r}, …)"


class JournalTap:
    """Takes packets of two legs and turns them into blocks.

    `on_failed(reason)` is called at most once; afterwards the tap takes nothing.
    """

    def __init__(
        self,
        target: Target,
        writer: Writer,
        on_failed: Callable[[str], None],
        now_ns: int,
    ) -> None:
        self.recording = target.header.recording_id
        self.path = target.path
        self.packets = 0
        self.failed = False
        self.ended = False
        self._sealer = BlockSealer(target.header, target.journal_key)
        self._writer = writer
        self._on_failed = on_failed
        self._started_ns = now_ns
        self._granted = False
        self._waiting = [target.header.to_bytes()]
        self._waiting_bytes = 0
        self._records: list[bytes] = []
        self._size = 0

    @property
    def blocks(self) -> int:
        """Data blocks sealed so far."""
        return self._sealer.blocks

    @property
    def granted(self) -> bool:
        """Whether it may write, or has written, to the disk."""
        return self._granted

    def add(self, leg: int, arrival_ns: int, packet: bytes) -> None:
        """Take one packet, as it was received."""
        self._records.append(pack_packet(leg, arrival_ns, packet))
        self.packets += 1
        self._size += len(packet)
        if self._size >= BLOCK_BYTES:
            self.seal(arrival_ns)

    def add_event(self, leg: int, arrival_ns: int, packet: bytes) -> None:
        """Take a telephone-event packet without its payload.

        Its sequence number must be known, or the timeline would take it for lost;
        its digit must not: it may be part of a PIN.
        """
        # Without padding, extension or CSRC list, which stood behind the header.
        self.add(leg, arrival_ns, b"\x80" + packet[1:_AUDIO_HEADER])

    def drop_since(self, leg: int, at_ns: int) -> None:
        """Forget what a leg said from `at_ns` on, as far as it is not sealed yet."""
        kept = []
        for record in self._records:
            packet = next(iter_records(record))
            if packet[0] == leg and packet[1] >= at_ns:
                self.packets -= 1
                self._size -= len(packet[2])
            else:
                kept.append(record)
        self._records = kept

    def note(self, note: bytes, now_ns: int) -> None:
        """Put a note behind the packets so far, in a block of its own at once."""
        if self.failed or self.ended:
            return
        try:
            record = pack_note(note)
        except JournalLimitError:
            self.fail("note-too-long")
            return
        self._records.append(record)
        self.seal(now_ns)

    def seal(self, now_ns: int) -> None:
        """Seal what there is and pass it on."""
        if self.failed or self.ended:
            return
        if self._records:
            records = b"".join(self._records)
            self._records.clear()
            self._size = 0
            try:
                self._pass_on(self._sealer.seal(records))
            except JournalLimitError:
                self.fail("journal-full")
        self.expire(now_ns)

    def expire(self, now_ns: int) -> None:
        """Give up if the grant has been waited for too long."""
        if not self._granted and (
            now_ns - self._started_ns > MAX_WAIT_NS
            or self._waiting_bytes > MAX_WAIT_BYTES
        ):
            self.fail("not-granted")

    def grant(self) -> None:
        """The envelope is durable: create the file, write what has waited."""
        if self._granted or self.failed:
            return
        self._granted = True
        self._writer.open(self.recording, self.path)
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._pass_on(data)
        if self.ended and not self.failed:
            self._writer.close(self.recording)

    def end(self, note: bytes, now_ns: int) -> None:
        """Last note, end block, close."""
        self.note(note, now_ns)
        if self.failed or self.ended:
            return
        self._pass_on(self._sealer.end())
        self.ended = True
        if self._granted and not self.failed:
            self._writer.close(self.recording)

    def fail(self, reason: str) -> None:
        """Give up; what is on disk stays readable."""
        if self.failed:
            return
        self.failed = True
        self._records.clear()
        self._waiting.clear()
        self._on_failed(reason)

    def _pass_on(self, data: bytes) -> None:
        if self.failed:
            return
        if not self._granted:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
        elif not self._writer.append(self.recording, data):
            self._writer.close(self.recording)
            self.fail("overload")
