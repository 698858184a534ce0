"""One recording in the worker: from tapped packets to sealed blocks.

Blocks stay in memory until the key envelope is known to be durable; before that,
nothing of a recording touches the disk. What is not written yet also stands in memory
that outlives this process, where there is some.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from agent.formats.journal import (
    BlockSealer,
    JournalHeader,
    JournalLimitError,
    NoteRecord,
    iter_records,
    pack_note,
    pack_packet,
)
from agent.media.open_block import OpenBlock
from agent.model.recording import SegmentMark

BLOCK_NS: Final = 900_000_000
"Age at which all is sealed: with the hand-over, a killed process loses ≤ 1 s."
RIPE_NS: Final = 100_000_000
"""Age that a record has reached before it is sealed: within it a pause is known of,
which began before the packet came; what is sealed cannot be taken back."""
BLOCK_BYTES: Final = 64 * 1024
MAX_WAIT_NS: Final = 30_000_000_000
"How long blocks wait in memory for the grant."
MAX_WAIT_BYTES: Final = 4 * 1024 * 1024
_AUDIO_HEADER: Final = 12


class Writer(Protocol):
    """Where blocks go; JournalWriter's half that a tap needs."""

    def open(self, journal: str, path: Path, before: tuple[Path, ...]) -> None: ...
    def append(
        self, journal: str, data: bytes, written: Callable[[], None]
    ) -> bool: ...
    def close(self, journal: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which journal file a tap writes, and under which key."""

    header: JournalHeader
    journal_key: bytes
    path: Path

    @property
    def before(self) -> tuple[Path, ...]:
        """The journals of this recording that dead workers have left, if they did."""
        name = self.header.recording_id
        return tuple(
            self.path.with_name(f"{name}.{epoch}.journal")
            for epoch in range(self.header.epoch)
        )

    def __repr__(self) -> str:
        return f"Target(recording={self.header.recording_id!r}, …)"


class JournalTap:
    """Takes packets of the legs and turns them into blocks.

    `on_failed(reason)` is called at most once; afterwards the tap takes nothing.
    """

    def __init__(
        self,
        target: Target,
        writer: Writer,
        on_failed: Callable[[str], None],
        now_ns: int,
        open_block: OpenBlock | None = None,
    ) -> None:
        self.recording = target.header.recording_id
        self.path = target.path
        self._before = target.before
        self.packets = 0
        self.failed = False
        self.ended = False
        self._sealer = BlockSealer(target.header, target.journal_key)
        self._writer = writer
        self._on_failed = on_failed
        self._started_ns = now_ns
        self._granted = False
        self._open_block = open_block
        self._left_out: dict[int, int] = {}
        self.last_heard: dict[int, bytes] = {}
        "By leg, the last packet that a dead worker left here."
        self._left: list[bytes] = []
        "Packets that it left, sealed as they are: what follows may be another's."
        self._sealed_at = 0 if open_block is None else open_block.end
        "Where the open block begins in that memory."
        self._keep = open_block.put if open_block is not None else _keep_nothing
        self._waiting = [_Waiting(target.header.to_bytes(), _nothing)]
        self._waiting_bytes = 0
        self._records: list[bytes] = []
        self._size = 0
        self._ripe = 0
        "How many of them were there when `ripen` was called last."
        self._ripe_at = self._sealed_at
        "Where these end in that memory."
        self._sealed_without = self._ripe_without = 0
        "How many of those sealed, and of those ripe, found no room in it."

    @property
    def blocks(self) -> int:
        """Data blocks sealed so far."""
        return self._sealer.blocks

    @property
    def kept_in(self) -> tuple[int, ...]:
        """The descriptor of the memory that outlives this process, if there is one."""
        return () if self._open_block is None else (self._open_block.fd,)

    @property
    def granted(self) -> bool:
        """Whether it may write, or has written, to the disk."""
        return self._granted

    def add(self, leg: int, arrival_ns: int, packet: bytes) -> None:
        """Take one packet, as it was received."""
        record = pack_packet(leg, arrival_ns, packet)
        if not self._keep(record):
            self._leave_out(record)
        self._records.append(record)
        self.packets += 1
        self._size += len(record)
        if self._size >= BLOCK_BYTES:
            self._seal_early(arrival_ns)

    def add_event(self, leg: int, arrival_ns: int, packet: bytes) -> None:
        """Take a telephone-event packet without its payload.

        Its sequence number must be known, or the timeline would take it for lost;
        its digit must not: it may be part of a PIN.
        """
        # Without padding, extension or CSRC list, which stood behind the header.
        self.add(leg, arrival_ns, b"\x80" + packet[1:_AUDIO_HEADER])

    def drop_since(self, leg: int, at_ns: int) -> None:
        """Forget what a leg said from `at_ns` on, as far as it is not sealed yet."""
        self._drop([r for r in self._records if _arrival(r, leg) >= at_ns])

    def move_since(self, leg: int, at_ns: int, to: "JournalTap", index: int) -> None:
        """Give another tap what a leg said from `at_ns` on, as far as it is not sealed.

        Or sealed just now, because a dead worker had left it. There it has `index`.
        What was read before one that came in time came in time, too, whenever it was
        read. It is put there before it is forgotten here: of a process that dies
        meanwhile, one memory has it.
        """
        own = [r for r in (*self._left, *self._records) if _arrival(r, leg) >= 0]
        late = takewhile(lambda record: _arrival(record, leg) >= at_ns, reversed(own))
        moved = [*late][::-1]
        for record in moved:
            for packet in iter_records(record):
                to.add(index, *packet[1:])
        sealed = set(map(id, self._left))
        # Here those stand behind the end.
        self._drop([record for record in moved if id(record) not in sealed])

    def _drop(self, records: Sequence[bytes]) -> None:
        gone = set(map(id, records))
        ripe, young = self._records[: self._ripe], self._records[self._ripe :]
        if self._open_block is not None:
            self._open_block.take_back(self._sealed_at)
        self._records = []
        self._size = 0
        for record in ripe:
            if id(record) not in gone:
                self._put(record)
        self.ripen()
        for record in young:
            if id(record) not in gone:
                self._put(record)
        self.packets -= len(gone)

    def _put(self, record: bytes) -> None:
        if not self._keep(record):
            self._leave_out(record)
        self._records.append(record)
        self._size += len(record)

    def _leave_out(self, record: bytes) -> None:
        """The disk is far behind: what a successor could not find, it must tell of.

        Not of notes, which the main process repeats.
        """
        packet = next(iter_records(record))
        if self._open_block is not None and not isinstance(packet, NoteRecord):
            self._open_block.leave_out(packet[1])

    def begin(self, notes: Sequence[bytes], now_ns: int, first: int = 1) -> None:
        """Put the first notes, and behind `first` of them what a dead worker left.

        Where it could not leave all, a gap begins with what was left out; the end of
        it is in the notes, as of all that is lost with a worker.
        """
        rest, short_ns = b"", 0
        if self._open_block is not None:
            rest = self._open_block.rest()
            short_ns = self._open_block.short_since_ns
        for record in iter_records(rest):
            if not isinstance(record, NoteRecord):
                self.last_heard[record[0]] = record[2]
        if rest and self._left_out:
            rest = b"".join(self._allowed(rest))
        for note in notes[:first]:
            self._add_note(note)
        if rest:
            self._records.append(rest)
            self._left = [
                pack_packet(*record)
                for record in iter_records(rest)
                if not isinstance(record, NoteRecord)
            ]
        if short_ns:
            gap = SegmentMark(
                at_monotonic_ns=short_ns, kind="gap-begin", reason="worker-lost"
            )
            self._add_note(msgspec.json.encode(gap))
        for note in notes[first:]:
            self._add_note(note)
        self._seal(len(self._records))
        self.expire(now_ns)

    def leave_out(self, leg: int, at_ns: int) -> None:
        """Of what a dead worker left, take nothing that the leg said from then on."""
        self._left_out[leg] = at_ns

    def _allowed(self, rest: bytes) -> Iterator[bytes]:
        for record in iter_records(rest):
            if isinstance(record, NoteRecord):
                yield pack_note(record.note)
            elif record[1] < self._left_out.get(record[0], record[1] + 1):
                yield pack_packet(*record)

    def note(self, note: bytes, now_ns: int) -> None:
        """Put a note behind the packets so far."""
        if self.failed or self.ended:
            return
        self._add_note(note)
        if self._size >= BLOCK_BYTES:
            self._seal_early(now_ns)
        self.expire(now_ns)

    def _add_note(self, note: bytes) -> None:
        try:
            record = pack_note(note)
        except JournalLimitError:
            self.fail("note-too-long")
            return
        self._put(record)

    def ripen(self) -> None:
        """What there is now is sealed next; RIPE_NS before that is to be done."""
        self._ripe = len(self._records)
        if self._open_block is not None:
            self._ripe_at = self._open_block.end
            self._ripe_without = self._open_block.left_out

    def seal(self, now_ns: int) -> None:
        """Seal what is ripe and pass it on."""
        self._left = []
        self._seal(self._ripe)
        self.expire(now_ns)

    def _seal_early(self, now_ns: int) -> None:
        """Memory is bounded: what is not ripe goes too, if nothing else would."""
        self._seal(self._ripe or len(self._records))
        self.ripen()
        self.expire(now_ns)

    def _seal(self, count: int) -> None:
        if self.failed or self.ended or not count:
            return
        if count > self._ripe:
            self.ripen()
        records = b"".join(self._records[:count])
        del self._records[:count]
        self._ripe = 0
        self._size = sum(map(len, self._records))
        self._sealed_at = self._ripe_at
        self._sealed_without = self._ripe_without
        try:
            self._pass_on(self._sealer.seal(records))
        except JournalLimitError:
            self.fail("journal-full")

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
        self._writer.open(self.recording, self.path, self._before)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._pass_on(*one)
        if self.ended and not self.failed:
            self._writer.close(self.recording)

    def end(self, note: bytes, now_ns: int) -> None:
        """Last note, end block, close."""
        self.note(note, now_ns)
        self._seal(len(self._records))
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

    def close(self) -> None:
        """Nothing more comes: what was kept is wiped."""
        if self._open_block is not None:
            self._open_block.close()

    def _pass_on(self, data: bytes, written: Callable[[], None] | None = None) -> None:
        if self.failed:
            return
        written = written or self._when_written()
        if not self._granted:
            self._waiting.append(_Waiting(data, written))
            self._waiting_bytes += len(data)
        elif not self._writer.append(self.recording, data, written):
            self._writer.close(self.recording)
            self.fail("overload")

    def _when_written(self) -> Callable[[], None]:
        """What is kept now need not be, once the block sealed last is written."""
        block = self._open_block
        if block is None:
            return _nothing
        return partial(block.written, self._sealed_at, self._sealed_without)


def _arrival(record: bytes, leg: int) -> int:
    """When a packet of `leg` came; -1 of a note, and of another leg."""
    packet = next(iter_records(record))
    if isinstance(packet, NoteRecord) or packet[0] != leg:
        return -1
    return packet[1]


class _Waiting(NamedTuple):
    data: bytes
    written: Callable[[], None]


def _keep_nothing(_: bytes) -> bool:
    return True


def _nothing() -> None:
    """Nothing was kept."""
