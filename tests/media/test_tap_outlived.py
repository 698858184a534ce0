"""What outlives a worker: the memory of a tap, and what its successor makes of it."""

import os
from collections.abc import Callable, Iterator

import msgspec
import pytest

from agent.formats.journal import NoteRecord, PacketRecord
from agent.media.open_block import OpenBlock, create_open_block
from agent.media.tap import JournalTap
from agent.model.recording import SegmentMark
from tests.media.test_tap import PACKET, TARGET, Disk, seal


@pytest.fixture
def disk() -> Disk:
    return Disk()


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
