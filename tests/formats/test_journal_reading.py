import io
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.journal import (
    FRAME_SIZE,
    HEADER_SIZE,
    MAGIC,
    MAX_BLOCK,
    MAX_LEG,
    MAX_NOTE,
    MAX_PACKET,
    RECORD_SIZE,
    BlockSealer,
    JournalError,
    JournalVersionError,
    NotAJournalError,
    PacketRecord,
    Record,
    WrongJournalKeyError,
    iter_records,
    pack_note,
    pack_packet,
)
from agent.formats.journal_reading import JournalReader, iter_blocks, read_journal
from tests.formats.journals import (
    BLOCKS,
    HEADER,
    KEY,
    ONE,
    SIZE_ONE,
    TWO,
    WHOLE,
    journal,
    packed,
)


@given(BLOCKS, st.booleans())
def test_round_trip(blocks: list[list[Record]], end: bool) -> None:
    read = read_journal(journal(blocks, end=end), KEY)
    assert read.header == HEADER
    assert read.records == [record for block in blocks for record in block]
    assert read.blocks == len(blocks)
    assert read.complete is end
    assert read.torn_bytes == 0
    assert read.damaged_at is None


@settings(max_examples=60)
@given(BLOCKS, st.integers(1, 40))
def test_the_pieces_do_not_matter(blocks: list[list[Record]], step: int) -> None:
    data = journal(blocks)
    reader = JournalReader(KEY)
    opened: list[bytes] = []
    for start in range(0, len(data), step):
        opened += reader.feed(memoryview(data)[start : start + step])
    assert opened == [packed(block) for block in blocks]
    assert reader.complete


@settings(max_examples=60)
@given(BLOCKS, st.data())
def test_every_cut_gives_a_prefix(
    blocks: list[list[Record]], draw: st.DataObject
) -> None:
    data = journal(blocks)
    cut = draw.draw(st.integers(0, len(data) - 1))
    if cut < HEADER_SIZE:
        with pytest.raises(NotAJournalError):
            read_journal(data[:cut], KEY)
        return
    read = read_journal(data[:cut], KEY)
    everything = [record for block in blocks for record in block]
    assert read.records == everything[: len(read.records)]
    assert not read.complete
    assert read.damaged_at is None
    whole = journal(blocks[: read.blocks], end=False)
    assert read.torn_bytes == cut - len(whole)


@settings(max_examples=150)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_every_altered_byte_is_noticed(position: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= flip
    try:
        read = read_journal(bytes(data), KEY)
    except JournalError:
        assert position < HEADER_SIZE + SIZE_ONE
        return
    assert read.records == [*ONE, *TWO][: len(read.records)]
    assert not read.complete


def test_streaming() -> None:
    rng = random.Random(1)
    blocks = [
        [PacketRecord(i & 1, i, rng.randbytes(1400)) for i in range(300)]
        for _ in range(4)
    ]
    stream = iter_blocks(io.BytesIO(journal(blocks)).read, KEY)
    assert stream.header == HEADER
    assert not stream.complete
    read = [list(iter_records(block)) for block in stream]
    assert read == blocks
    assert (stream.blocks, stream.complete) == (4, True)
    assert (stream.torn_bytes, stream.damaged_at) == (0, None)


def one_byte_at_a_time(data: bytes) -> Callable[[int], bytes]:
    source = io.BytesIO(data)
    return lambda _: source.read(1)


def test_streaming_from_a_reader_that_gives_little() -> None:
    stream = iter_blocks(one_byte_at_a_time(WHOLE), KEY)
    assert list(stream) == [packed(ONE), packed(TWO)]
    assert stream.complete


@pytest.mark.parametrize("data", [b"", WHOLE[: HEADER_SIZE - 1]])
def test_streaming_something_else(data: bytes) -> None:
    with pytest.raises(NotAJournalError):
        iter_blocks(io.BytesIO(data).read, KEY)


def test_a_block_altered_in_the_middle_stops_the_reader_there() -> None:
    data = bytearray(journal([ONE, TWO, ONE]))
    place = HEADER_SIZE + SIZE_ONE
    data[place + FRAME_SIZE] ^= 1
    read = read_journal(bytes(data), KEY)
    assert read.records == ONE
    assert read.damaged_at == place
    assert not read.complete
    assert read.torn_bytes == len(data) - place


def test_bytes_fed_after_the_stop_are_counted_and_dropped() -> None:
    reader = JournalReader(KEY)
    reader.feed(WHOLE + b"tail")
    assert reader.feed(b"and more") == []
    assert reader.complete
    assert reader.torn_bytes == len(b"tailand more")


def frames(data: bytes) -> list[bytes]:
    position, found = HEADER_SIZE, []
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position + 1)
        found.append(data[position : position + FRAME_SIZE + size])
        position += FRAME_SIZE + size
    return found


@pytest.mark.parametrize(
    "order", [[0, 0, 1, 2, 3], [0, 2, 1, 3], [0, 2, 3], [0, 1, 3], [0, 1, 1, 2, 3]]
)
def test_blocks_repeated_swapped_or_left_out(order: list[int]) -> None:
    parts = frames(journal([ONE, TWO, ONE]))
    read = read_journal(HEADER.to_bytes() + b"".join(parts[i] for i in order), KEY)
    assert read.damaged_at is not None
    assert not read.complete
    assert read.records == [*ONE, *TWO, *ONE][: len(read.records)]


def test_a_data_block_cannot_pass_for_the_end_nor_the_end_for_data() -> None:
    first, second, end = frames(WHOLE)
    for forged in (b"\x02" + second[1:], b"\x01" + end[1:]):
        read = read_journal(HEADER.to_bytes() + first + forged, KEY)
        assert read.records == ONE
        assert read.damaged_at == HEADER_SIZE + SIZE_ONE
        assert not read.complete


def test_another_header_is_noticed_by_the_first_block() -> None:
    for position in range(12, HEADER_SIZE):
        data = bytearray(WHOLE)
        data[position] ^= 1
        with pytest.raises(WrongJournalKeyError):
            read_journal(bytes(data), KEY)


def test_another_key() -> None:
    for data in (WHOLE, journal([])):
        with pytest.raises(WrongJournalKeyError):
            read_journal(data, b"j" * 32)


@pytest.mark.parametrize("zeros", [5, 6, 4096])
def test_zeros_that_a_power_cut_left_are_torn_not_damage(zeros: int) -> None:
    for blocks in ([], [ONE, TWO]):
        read = read_journal(journal(blocks, end=False) + bytes(zeros), KEY)
        assert read.blocks == len(blocks)
        assert read.damaged_at is None
        assert read.torn_bytes == zeros
        assert not read.complete


@pytest.mark.parametrize(
    "frame",
    [b"\x03\0\0\0\x20", b"\x01\0\0\0\x0f", b"\x00\0\0\0\x20", b"\x01\xff\xff\xff\xff"],
)
def test_frames_that_no_writer_leaves(frame: bytes) -> None:
    read = read_journal(journal([ONE], end=False) + frame + bytes(64), KEY)
    assert read.damaged_at == HEADER_SIZE + SIZE_ONE
    assert read.records == ONE


def test_an_end_block_with_another_count() -> None:
    sealer = BlockSealer(HEADER, KEY)
    data = HEADER.to_bytes() + sealer.seal(packed(ONE))
    count = (9).to_bytes(8, "big")
    read = read_journal(data + sealer._cipher.seal(2, 1, count), KEY)
    assert not read.complete
    assert read.damaged_at == len(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotAJournalError),
        (b"RIFF", NotAJournalError),
        (b"RIFF" * 40, NotAJournalError),
        (MAGIC + b"\x00\x02" + bytes(100), JournalVersionError),
        (MAGIC + b"\x00\x01\x00\x59" + bytes(100), NotAJournalError),
    ],
)
def test_what_is_no_journal(data: bytes, error: type[JournalError]) -> None:
    with pytest.raises(error):
        read_journal(data, KEY)


@settings(max_examples=200)
@given(st.binary(max_size=300), st.binary(max_size=60), st.integers(0, len(WHOLE)))
def test_garbage_reads_or_raises_the_one_error(
    garbage: bytes, noise: bytes, position: int
) -> None:
    altered = bytearray(WHOLE)
    altered[position : position + len(noise)] = noise
    for data in (garbage, MAGIC + garbage, WHOLE + garbage, bytes(altered)):
        try:
            read_journal(data, KEY)
        except JournalError:
            continue


def test_limits_are_reached() -> None:
    assert len(pack_packet(MAX_LEG, 2**64 - 1, bytes(MAX_PACKET))) == 1511
    assert len(pack_note(bytes(MAX_NOTE))) == MAX_NOTE + RECORD_SIZE
    sealer = BlockSealer(HEADER, KEY)
    block = pack_packet(0, 0, b"") * (MAX_BLOCK // RECORD_SIZE)
    data = HEADER.to_bytes() + sealer.seal(block) + sealer.end()
    assert read_journal(data, KEY).complete


def test_neither_salt_nor_records_are_printed() -> None:
    assert "salt" not in repr(HEADER)
    assert "PacketRecord" not in repr(read_journal(WHOLE, KEY))
