from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from agent.formats.journal import MAX_NOTE, JournalHeader, NoteRecord, PacketRecord
from agent.formats.journal_reading import Journal, read_journal
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
