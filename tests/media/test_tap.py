import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from agent.formats.journal import MAX_NOTE, JournalHeader, NoteRecord, PacketRecord
from agent.formats.journal_reading import Journal, read_journal
from agent.media.open_block import OpenBlock, create_open_block
from agent.media.tap import (
    BLOCK_BYTES,
    MAX_WAIT_BYTES,
    MAX_WAIT_NS,
    JournalTap,
    Target,
)
from agent.model.recording import SegmentMark

KEY = bytes(32)
PACKET = b"\x80\x08" + bytes(10) + b"\xd5" * 160
TARGET = Target(
    header=JournalHeader(
        recording_id=str(UUID(int=1)),
        epoch=0,
        key_id=b"keykeyke",
        salt=b"s" * 32,
        utc_ns=1,
        monotonic_ns=2,
    ),
    journal_key=KEY,
    path=Path("/spool/x.0.journal"),
)


class Disk:
    """Holds what a journal writer would write."""

    def __init__(self) -> None:
        self.data = b""
        self.before: tuple[Path, ...] = ()
        self.log: list[str] = []
        self.full = False
        self.stalled = False

    def open(self, journal: str, path: Path, before: tuple[Path, ...]) -> None:
        assert (journal, path) == (TARGET.header.recording_id, TARGET.path)
        self.before = before
        self.log.append("open")

    def append(self, _: str, data: bytes, written: Callable[[], None]) -> bool:
        if self.full:
            return False
        self.data += data
        if not self.stalled:
            written()
        return True

    def close(self, _: str) -> None:
        self.log.append("close")

    def journal(self) -> Journal:
        return read_journal(self.data, KEY)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def tap(disk: Disk, failures: list[str]) -> JournalTap:
    return JournalTap(TARGET, disk, failures.append, now_ns=0)


def seal(tap: JournalTap, now_ns: int) -> None:
    """Seal all there is."""
    tap.ripen()
    tap.seal(now_ns)


def test_the_open_block_is_cut_by_leg_and_arrival(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    for leg, at in ((0, 1), (1, 2), (0, 3), (1, 4), (0, 5)):
        tap.add(leg, at, PACKET)
    tap.drop_since(0, 3)
    seal(tap, 6)
    records = disk.journal().records
    assert [record[:2] for record in records] == [(0, 1), (1, 2), (1, 4)]
    assert tap.packets == 3


def test_what_is_not_ripe_is_sealed_the_next_time(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    tap.add(0, 1, PACKET)
    tap.ripen()
    tap.add(0, 2, PACKET)
    tap.note(b"mark", 3)
    tap.seal(4)
    assert disk.journal().records == [PacketRecord(0, 1, PACKET)]
    tap.seal(5)
    assert disk.journal().blocks == 1
    tap.ripen()
    tap.drop_since(0, 9)
    tap.add(0, 6, PACKET)
    tap.seal(7)
    assert disk.journal().records[1:] == [
        PacketRecord(0, 2, PACKET),
        NoteRecord(b"mark"),
    ]
    tap.end(b"end", 8)
    assert disk.journal().records[3:] == [
        PacketRecord(0, 6, PACKET),
        NoteRecord(b"end"),
    ]


def test_a_pause_that_is_told_after_a_block_was_sealed_is_exact(
    tap: JournalTap, disk: Disk
) -> None:
    """Command at 100; a packet comes 1 ns later and is read; a block is sealed."""
    tap.grant()
    for leg, at in ((0, 97), (1, 98), (0, 99)):
        tap.add(leg, at, PACKET)
    tap.ripen()
    tap.add(0, 101, PACKET)
    tap.add_event(0, 102, b"\x80\x65" + bytes(10) + b"\x05\x8a\x03\x20")
    tap.add(1, 103, PACKET)
    tap.seal(104)
    tap.drop_since(0, 100)
    tap.drop_since(1, 100)
    tap.end(b"end", 200)
    arrivals = [record[1] for record in disk.journal().records[:-1]]
    assert arrivals == [97, 98, 99]
    assert tap.packets == 3


def test_nothing_is_opened_before_the_grant(tap: JournalTap, disk: Disk) -> None:
    tap.note(b"begin", 0)
    tap.add(0, 5, PACKET)
    seal(tap, 6)
    assert (disk.log, disk.data) == ([], b"")
    tap.grant()
    assert disk.log == ["open"]
    assert tap.granted
    assert disk.journal().records == [NoteRecord(b"begin"), PacketRecord(0, 5, PACKET)]


def test_the_journals_of_dead_workers_are_named_to_the_writer(
    disk: Disk, failures: list[str]
) -> None:
    header = replace(TARGET.header, epoch=2)
    JournalTap(replace(TARGET, header=header), disk, failures.append, 0).grant()
    name = TARGET.header.recording_id
    assert disk.before == tuple(Path(f"/spool/{name}.{n}.journal") for n in (0, 1))


def test_a_whole_recording(tap: JournalTap, disk: Disk, failures: list[str]) -> None:
    tap.grant()
    tap.note(b"begin", 0)
    tap.add(0, 1, PACKET)
    tap.add(1, 2, PACKET)
    tap.end(b"end", 3)
    journal = disk.journal()
    assert journal.complete
    assert journal.records == [
        NoteRecord(b"begin"),
        PacketRecord(0, 1, PACKET),
        PacketRecord(1, 2, PACKET),
        NoteRecord(b"end"),
    ]
    assert (tap.packets, tap.blocks, tap.ended) == (2, 1, True)
    assert disk.log == ["open", "close"]
    assert failures == []


def test_the_digits_of_a_telephone_event_are_left_out(
    tap: JournalTap, disk: Disk
) -> None:
    tap.grant()
    tap.add_event(
        0, 1, b"\x90\x65\x00\x07" + bytes(8) + b"\xbe\xde\0\0\x05\x8a\x03\x20"
    )
    seal(tap, 2)
    (record,) = disk.journal().records
    assert record == PacketRecord(0, 1, b"\x80\x65\x00\x07" + bytes(8))


def test_a_large_block_is_sealed_early(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    for n in range(BLOCK_BYTES // len(PACKET) + 1):
        tap.add(0, n, PACKET)
    assert disk.journal().blocks == 1


def test_of_a_large_block_what_is_ripe_is_sealed_if_anything_is(
    tap: JournalTap, disk: Disk
) -> None:
    tap.grant()
    tap.add(0, 0, PACKET)
    tap.ripen()
    note = bytes(BLOCK_BYTES // 2)
    tap.note(note, 1)
    tap.note(note, 2)
    assert disk.journal().records == [PacketRecord(0, 0, PACKET)]
    tap.note(note, 3)
    assert disk.journal().records[1:] == [NoteRecord(note)] * 2


def test_an_empty_block_is_none(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    seal(tap, 1)
    assert disk.journal().blocks == 0


def test_an_end_before_the_grant_waits_for_it(tap: JournalTap, disk: Disk) -> None:
    tap.add(0, 1, PACKET)
    tap.end(b"end", 2)
    assert disk.log == []
    tap.grant()
    assert disk.journal().complete
    assert disk.log == ["open", "close"]


def test_a_second_end_or_grant_does_nothing(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    tap.grant()
    tap.end(b"end", 2)
    tap.end(b"end", 2)
    tap.note(b"late", 3)
    seal(tap, 3)
    assert disk.log == ["open", "close"]
    assert disk.journal().records == [NoteRecord(b"end")]


@pytest.mark.parametrize("ended", [False, True])
def test_without_a_grant_memory_is_bounded_in_time(
    tap: JournalTap, failures: list[str], *, ended: bool
) -> None:
    tap.add(0, 1, PACKET)
    if ended:
        tap.end(b"end", 2)
    tap.expire(MAX_WAIT_NS)
    assert failures == []
    tap.expire(MAX_WAIT_NS + 1)
    tap.expire(MAX_WAIT_NS + 2)
    assert failures == ["not-granted"]


def test_without_a_grant_memory_is_bounded_in_size(
    tap: JournalTap, failures: list[str]
) -> None:
    for n in range(MAX_WAIT_BYTES // len(PACKET) + BLOCK_BYTES):
        tap.add(0, n, PACKET)
        if failures:
            break
    assert failures == ["not-granted"]
    assert n <= MAX_WAIT_BYTES // len(PACKET) + BLOCK_BYTES


def test_a_failed_tap_is_silent(
    tap: JournalTap, disk: Disk, failures: list[str]
) -> None:
    tap.fail("ENOSPC")
    tap.fail("EIO")
    tap.note(b"n", 1)
    seal(tap, 1)
    tap.grant()
    tap.end(b"end", 2)
    assert failures == ["ENOSPC"]
    assert (disk.log, disk.data) == ([], b"")


def test_a_disk_that_is_too_slow_ends_the_recording(
    tap: JournalTap, disk: Disk, failures: list[str]
) -> None:
    tap.grant()
    disk.full = True
    tap.add(0, 1, PACKET)
    tap.end(b"end", 2)
    assert failures == ["overload"]
    assert disk.log == ["open", "close"]


def test_a_disk_too_slow_for_what_has_waited(
    tap: JournalTap, disk: Disk, failures: list[str]
) -> None:
    disk.full = True
    tap.add(0, 1, PACKET)
    tap.end(b"end", 2)
    tap.grant()
    assert failures == ["overload"]
    assert disk.log == ["open", "close"]


def test_a_note_beyond_the_format_ends_the_recording(
    tap: JournalTap, failures: list[str]
) -> None:
    tap.note(bytes(MAX_NOTE + 1), 1)
    assert failures == ["note-too-long"]


def test_a_journal_that_is_full_ends_the_recording(
    tap: JournalTap, failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.formats.journal.MAX_BLOCKS", 0)
    tap.begin([b"begin"], 1)
    assert failures == ["journal-full"]


def test_no_key_in_a_representation() -> None:
    assert "journal_key" not in repr(TARGET)


# -- what outlives the process ------------------------------------------------


@pytest.fixture
def kept(disk: Disk) -> Iterator[int]:
    """Memory that a tap and its successors share."""
    fd = create_open_block(2)
    yield fd
    os.close(fd)


def tap_with(kept: int, disk: Disk) -> JournalTap:
    tap = JournalTap(TARGET, disk, lambda _: None, 0, OpenBlock(os.dup(kept)))
    tap.grant()
    return tap


def packet(n: int) -> PacketRecord:
    return PacketRecord(0, n, PACKET[:-1] + bytes([n]))


def test_a_successor_writes_what_a_dead_worker_had_not(kept: int, disk: Disk) -> None:
    dead = tap_with(kept, disk)
    dead.begin([b"begin"], 0)
    dead.add(*packet(1))
    seal(dead, 2)
    dead.add(*packet(2))
    disk.stalled = True
    seal(dead, 3)
    dead.add(*packet(3))
    dead.note(b"mark", 4)
    dead.add(*packet(4))
    next_disk = Disk()
    successor = tap_with(kept, next_disk)
    successor.begin([b"begin", b"gap"], 5)
    successor.add(*packet(5))
    seal(successor, 6)
    assert next_disk.journal().records == [
        NoteRecord(b"begin"),
        *(packet(n) for n in (2, 3)),
        NoteRecord(b"mark"),
        packet(4),
        NoteRecord(b"gap"),
        packet(5),
    ]
    # All of it is written now: a third finds nothing.
    last_disk = Disk()
    tap_with(kept, last_disk).begin([b"begin"], 7)
    assert last_disk.journal().records == [NoteRecord(b"begin")]


def test_what_was_not_ripe_outlives_its_worker(kept: int, disk: Disk) -> None:
    dead = tap_with(kept, disk)
    dead.add(*packet(1))
    dead.ripen()
    dead.add(*packet(2))
    dead.seal(3)
    # Of what is sealed and written nothing is kept, of the rest all.
    next_disk = Disk()
    tap_with(kept, next_disk).begin([b"begin"], 4)
    assert next_disk.journal().records[1:] == [packet(2)]


def test_what_found_no_room_is_told_as_a_gap(kept: int, disk: Disk) -> None:
    """The disk is far behind, and the worker dies; and once more, at once."""
    dead = tap_with(kept, disk)
    disk.stalled = True
    count = 0
    while not OpenBlock(os.dup(kept)).short_since_ns:
        count += 1
        dead.add(0, 1000 + count, PACKET)
    dead.note(bytes(5000), 3000)
    dead.add(0, 4000, PACKET)
    for stalled in (True, False):
        next_disk = Disk()
        next_disk.stalled = stalled
        tap_with(kept, next_disk).begin([b"begin", b"end of the gap"], 5000)
        records = next_disk.journal().records
        assert [r.arrival_ns for r in records if isinstance(r, PacketRecord)] == [
            *range(1001, 1000 + count)
        ]
        [*_, gap, end] = records
        assert end == NoteRecord(b"end of the gap")
        assert isinstance(gap, NoteRecord)
        mark = msgspec.json.decode(gap.note, type=SegmentMark)
        assert (mark.kind, mark.at_monotonic_ns) == ("gap-begin", 1000 + count)
    last_disk = Disk()
    tap_with(kept, last_disk).begin([b"begin"], 6000)
    assert last_disk.journal().records == [NoteRecord(b"begin")]


def test_what_found_no_room_is_safe_once_the_disk_has_it(
    kept: int, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = tap_with(kept, disk)
    memory = OpenBlock(os.dup(kept))
    waiting: list[Callable[[], None]] = []

    def append(_: str, __: bytes, written: Callable[[], None]) -> bool:
        waiting.append(written)
        return True

    monkeypatch.setattr(disk, "append", append)
    for _ in range(100):
        tap.add(0, 6, PACKET)
    seal(tap, 6)
    while not memory.short_since_ns:
        tap.add(0, 7, PACKET)
    tap.ripen()
    tap.add(0, 8, PACKET)
    tap.seal(9)
    for written in waiting[:-1]:
        written()
    assert memory.short_since_ns == 7
    waiting[-1]()
    # One that came since then had no room either, and is in no block yet.
    assert memory.short_since_ns == 7
    tap.drop_since(1, 0)
    seal(tap, 10)
    waiting[-1]()
    assert memory.short_since_ns == 0


def test_the_last_packet_of_each_leg_is_known_to_a_successor(
    kept: int, disk: Disk
) -> None:
    dead = tap_with(kept, disk)
    dead.add(*packet(1))
    dead.add(1, 2, packet(2).packet)
    dead.add(*packet(3))
    dead.note(b"mark", 4)
    successor = tap_with(kept, Disk())
    successor.begin([b"begin"], 5)
    assert successor.last_heard == {0: packet(3).packet, 1: packet(2).packet}
    assert dead.last_heard == {}


def test_what_is_dropped_divides_ripe_and_young_anew(kept: int, disk: Disk) -> None:
    dead = tap_with(kept, disk)
    dead.add(*packet(1))
    dead.add(*packet(2))
    dead.ripen()
    dead.add(*packet(3))
    dead.add(*packet(4))
    dead.drop_since(1, 0)
    dead.seal(5)
    assert disk.journal().records == [packet(1), packet(2)]
    dead.drop_since(0, 4)
    next_disk = Disk()
    tap_with(kept, next_disk).begin([b"begin"], 6)
    assert next_disk.journal().records[1:] == [packet(3)]


def test_what_waits_for_the_grant_is_not_lost_with_its_worker(
    kept: int, disk: Disk
) -> None:
    dead = JournalTap(TARGET, disk, lambda _: None, 0, OpenBlock(os.dup(kept)))
    dead.begin([b"begin"], 0)
    dead.add(*packet(1))
    seal(dead, 2)
    tap_with(kept, disk).begin([b"begin"], 3)
    assert disk.journal().records == [
        NoteRecord(b"begin"),
        NoteRecord(b"begin"),
        packet(1),
    ]


def test_what_is_dropped_is_dropped_from_what_is_kept_too(
    kept: int, disk: Disk
) -> None:
    dead = tap_with(kept, disk)
    dead.add(0, 1, PACKET)
    seal(dead, 2)
    for leg, at in ((0, 3), (1, 4), (0, 5), (1, 6)):
        dead.add(leg, at, PACKET)
    dead.drop_since(0, 4)
    # That the other leg was to stop as well reached nobody.
    next_disk = Disk()
    successor = tap_with(kept, next_disk)
    successor.leave_out(1, 6)
    successor.begin([b"begin"], 7)
    records = next_disk.journal().records[1:]
    assert [record[:2] for record in records] == [(0, 3), (1, 4)]


def test_when_it_is_over_nothing_is_left(kept: int, disk: Disk) -> None:
    tap = tap_with(kept, disk)
    tap.add(*packet(1))
    assert PACKET[:50] in os.pread(kept, 1 << 20, 0)
    tap.close()
    assert not os.pread(kept, 1 << 20, 0).strip(b"\0")
    without = JournalTap(TARGET, disk, lambda _: None, 0)
    without.begin([], 0)
    without.close()


def test_what_a_leg_said_since_goes_to_another_recording(kept: int, disk: Disk) -> None:
    tap, other_disk = tap_with(kept, disk), Disk()
    other = JournalTap(TARGET, other_disk, lambda _: None, 0)
    other.grant()
    tap.add(*packet(1))
    # Two that came before the third, of which one was read late.
    tap.add(*packet(6))
    tap.add(1, 2, PACKET)
    tap.ripen()
    tap.add(*packet(3))
    tap.note(b"mark", 4)
    tap.add(*packet(5))
    tap.add(*packet(7))
    tap.add(1, 8, PACKET)
    tap.move_since(0, 4, other, 2)
    tap.move_since(1, 9, other, 3)
    assert (tap.packets, other.packets) == (5, 2)
    successor = Disk()
    tap_with(kept, successor).begin([b"begin"], 9)
    seal(other, 9)
    moved = [(2, n, packet(n).packet) for n in (5, 7)]
    assert other_disk.journal().records == moved
    stayed = [packet(1), packet(6), (1, 2, PACKET), packet(3), NoteRecord(b"mark")]
    assert successor.journal().records[1:] == [*stayed, (1, 8, PACKET)]
