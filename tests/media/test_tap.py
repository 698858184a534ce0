import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from agent.formats.journal import (
    MAX_NOTE,
    Journal,
    JournalHeader,
    NoteRecord,
    PacketRecord,
    read_journal,
)
from agent.media.open_block import OpenBlock, create_open_block
from agent.media.tap import (
    BLOCK_BYTES,
    MAX_WAIT_BYTES,
    MAX_WAIT_NS,
    JournalTap,
    Target,
)

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
        self.log: list[str] = []
        self.full = False
        self.stalled = False

    def open(self, journal: str, path: Path) -> None:
        assert (journal, path) == (TARGET.header.recording_id, TARGET.path)
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


def test_the_open_block_is_cut_by_leg_and_arrival(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    for leg, at in ((0, 1), (1, 2), (0, 3), (1, 4), (0, 5)):
        tap.add(leg, at, PACKET)
    tap.drop_since(0, 3)
    tap.seal(6)
    records = disk.journal().records
    assert [record[:2] for record in records] == [(0, 1), (1, 2), (1, 4)]
    assert tap.packets == 3


def test_nothing_is_opened_before_the_grant(tap: JournalTap, disk: Disk) -> None:
    tap.note(b"begin", 0)
    tap.add(0, 5, PACKET)
    tap.seal(6)
    assert (disk.log, disk.data) == ([], b"")
    tap.grant()
    assert disk.log == ["open"]
    assert tap.granted
    assert disk.journal().records == [NoteRecord(b"begin"), PacketRecord(0, 5, PACKET)]


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
    assert (tap.packets, tap.blocks, tap.ended) == (2, 2, True)
    assert disk.log == ["open", "close"]
    assert failures == []


def test_the_digits_of_a_telephone_event_are_left_out(
    tap: JournalTap, disk: Disk
) -> None:
    tap.grant()
    tap.add_event(
        0, 1, b"\x90\x65\x00\x07" + bytes(8) + b"\xbe\xde\0\0\x05\x8a\x03\x20"
    )
    tap.seal(2)
    (record,) = disk.journal().records
    assert record == PacketRecord(0, 1, b"\x80\x65\x00\x07" + bytes(8))


def test_a_large_block_is_sealed_early(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    for n in range(BLOCK_BYTES // len(PACKET) + 1):
        tap.add(0, n, PACKET)
    assert disk.journal().blocks == 1


def test_an_empty_block_is_none(tap: JournalTap, disk: Disk) -> None:
    tap.grant()
    tap.seal(1)
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
    tap.seal(3)
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
    tap.seal(1)
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
    tap.note(b"begin", 1)
    assert failures == ["journal-full"]


def test_no_key_in_a_representation() -> None:
    assert "journal_key" not in repr(TARGET)


# -- what outlives the process ------------------------------------------------


@pytest.fixture
def kept(disk: Disk) -> Iterator[int]:
    """Memory that a tap and its successors share."""
    fd = create_open_block()
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
    dead.seal(2)
    dead.add(*packet(2))
    disk.stalled = True
    dead.seal(3)
    dead.add(*packet(3))
    dead.note(b"mark", 4)
    dead.add(*packet(4))
    next_disk = Disk()
    successor = tap_with(kept, next_disk)
    successor.begin([b"begin", b"gap"], 5)
    successor.add(*packet(5))
    successor.seal(6)
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


def test_what_waits_for_the_grant_is_not_lost_with_its_worker(
    kept: int, disk: Disk
) -> None:
    dead = JournalTap(TARGET, disk, lambda _: None, 0, OpenBlock(os.dup(kept)))
    dead.begin([b"begin"], 0)
    dead.add(*packet(1))
    dead.seal(2)
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
    dead.seal(2)
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
