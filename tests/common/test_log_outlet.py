import io
import os
import socket
from pathlib import Path

import pytest

from agent.common.log_outlet import MAX_WAITING, Outlet, stream_taker


class Reader:
    """Takes `room` bytes, then nothing until there is room again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.got = b""
        self.broken = False

    def __call__(self, data: bytes) -> int:
        if self.broken:
            raise BrokenPipeError
        taken = data[: self.room]
        self.room -= len(taken)
        self.got += taken
        return len(taken)


def test_what_is_not_taken_waits_in_order_whole() -> None:
    reader = Reader(room=7)
    outlet = Outlet(reader)
    for line in (b"first\n", b"second\n", b"third\n"):
        outlet.write(line)
    assert reader.got == b"first\ns"
    assert not outlet.flowing
    reader.room = 3
    assert not outlet.flush()
    reader.room = 100
    outlet.write(b"fourth\n")
    assert reader.got == b"first\nsecond\nthird\nfourth\n"
    assert outlet.flowing
    assert outlet.dropped == 0


def test_beyond_the_bound_new_lines_are_dropped_and_counted() -> None:
    reader = Reader(room=0)
    outlet = Outlet(reader)
    line = bytes(1024)
    most = MAX_WAITING // len(line)
    for _ in range(most + 5):
        outlet.write(line)
    assert outlet.dropped == 5
    reader.room = 1 << 30
    # There is room again: this one is not dropped, and comes last.
    outlet.write(b"last\n")
    assert reader.got == line * most + b"last\n"
    assert outlet.dropped == 5


def test_a_reader_that_is_gone_costs_lines_and_raises_nothing() -> None:
    reader = Reader(room=0)
    outlet = Outlet(reader)
    outlet.write(b"waits\n")
    reader.broken = True
    outlet.write(b"lost\n")
    assert outlet.dropped == 2
    assert outlet.flowing


def test_a_stream_without_descriptor_is_written_to() -> None:
    stream = io.StringIO()
    assert stream_taker(stream)("ä\n".encode()) == 3
    assert stream.getvalue() == "ä\n"


def test_a_file_takes_everything(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        stream.write("before\n")
        assert stream_taker(stream)(b"x" * 100_000) == 100_000
    assert (tmp_path / "log").read_bytes() == b"before\n" + b"x" * 100_000


def test_a_pipe_that_nobody_reads_is_not_waited_for() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reading, os.fdopen(theirs, "w") as writing:
        take = stream_taker(writing)
        total = 0
        while taken := take(b"x" * 10_000):
            total += taken
        assert 4096 <= total <= 1 << 20
        assert len(os.read(reading.fileno(), 1 << 20)) == total
        assert take(b"again") == 5


def test_a_socket_that_nobody_reads_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, theirs.makefile("w") as writing:
        take = stream_taker(writing)
        while take(bytes(10_000)):
            pass
        ours.close()
        with pytest.raises(OSError, match="Broken pipe"):
            take(b"x")
