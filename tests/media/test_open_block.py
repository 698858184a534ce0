import os
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from agent.media.open_block import OpenBlock, create_open_block


@pytest.fixture
def fd() -> Iterator[int]:
    fd = create_open_block(2)
    yield fd
    os.close(fd)


def mapped(fd: int) -> OpenBlock:
    """As another process has it."""
    return OpenBlock(os.dup(fd))


def test_a_successor_finds_what_was_not_written(fd: int) -> None:
    dead = mapped(fd)
    assert dead.put(b"one")
    sealed = dead.end
    assert dead.put(b"two")
    assert dead.put(b"three")
    dead.written(sealed)
    successor = mapped(fd)
    assert successor.rest() == b"twothree"
    assert successor.put(b"four")
    successor.written(successor.end)
    assert mapped(fd).rest() == b""


def test_what_is_written_or_over_leaves_no_trace(fd: int) -> None:
    block = mapped(fd)
    block.put(b"secret")
    block.written(block.end)
    assert b"secret" not in os.pread(fd, 1 << 20, 0)
    block.put(b"secret")
    assert b"secret" in os.pread(fd, 1 << 20, 0)
    block.close()
    block.close()
    block.written(5)
    assert not os.pread(fd, 1 << 20, 0).strip(b"\0")


def test_a_stalled_disk_is_not_waited_for(fd: int) -> None:
    block = mapped(fd)
    record = bytes(1000)
    assert [block.put(record) for _ in range(132)] == [True] * 131 + [False]
    block.written(2000)
    assert block.put(record)


def test_what_is_taken_back_was_never_there(fd: int) -> None:
    block = mapped(fd)
    for _ in range(3):
        block.put(b"x" * 60_000)
        block.written(block.end)
        block.put(b"kept")
        sealed = block.end
        block.put(b"secret")
        block.take_back(sealed)
        assert b"secret" not in os.pread(fd, 1 << 20, 0)
        block.put(b"later")
        assert block.rest() == b"keptlater"
        block.written(block.end)


@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=60_000), st.booleans()), max_size=40
    )
)
def test_it_holds_whole_records_in_their_order(
    steps: list[tuple[bytes, bool]],
) -> None:
    fd = create_open_block(2)
    block = mapped(fd)
    held: list[bytes] = []
    for record, disk_comes_by in steps:
        if block.put(record):
            held.append(record)
        assert block.rest() == b"".join(held)
        if disk_comes_by:
            block.written(block.end)
            held.clear()
    assert mapped(fd).rest() == b"".join(held)
    block.close()
    os.close(fd)


@pytest.mark.parametrize("legs", [1, 2, 5, 16])
def test_more_legs_have_more_room(legs: int) -> None:
    fd = create_open_block(legs)
    block = mapped(fd)
    record = bytes(1024)
    put = sum(block.put(record) for _ in range(2000))
    assert put == 64 * max(2, legs)
    block.written(block.end - 1024)
    assert block.put(b"round the end")
    assert mapped(fd).rest() == record + b"round the end"
    os.close(fd)
