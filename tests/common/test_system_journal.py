import array
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.common.system_journal import SystemJournal, encode, goes_to_journal


class Journald:
    """A socket as journald's, and what has come to it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def next(self) -> bytes:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, 64)
        if not ancillary:
            return data
        assert data == b""
        [fd] = array.array("i", ancillary[0][2])
        with os.fdopen(fd, "rb") as file:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            assert seals & fcntl.F_SEAL_WRITE
            assert seals & fcntl.F_SEAL_SEAL
            file.seek(0)
            return file.read()


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    one = Journald(tmp_path / "socket")
    yield one
    one.socket.close()


def test_fields_are_lines_and_those_of_several_lines_have_a_length() -> None:
    assert encode([("MESSAGE", "Ä."), ("REASON", "a\nb")]) == (
        b"MESSAGE=\xc3\x84.\nREASON\n\x03\0\0\0\0\0\0\0a\nb\n"
    )


def test_a_value_cannot_make_itself_a_field() -> None:
    data = encode([("REASON", "x\nPRIORITY=0"), ("PEER", "p")])
    name, _, rest = data.partition(b"\n")
    size = int.from_bytes(rest[:8], "little")
    assert (name, rest[8 : 8 + size]) == (b"REASON", b"x\nPRIORITY=0")
    assert rest[8 + size :] == b"\nPEER=p\n"


def test_a_line_is_one_datagram(journald: Journald) -> None:
    journal = SystemJournal(journald.path)
    assert journal.take(b"MESSAGE=x\n") == 10
    assert journald.next() == b"MESSAGE=x\n"
    journal.close()


def test_what_no_datagram_holds_goes_by_sealed_memory(journald: Journald) -> None:
    journal = SystemJournal(journald.path)
    data = encode([("MESSAGE", "x" * (32 << 20))])
    assert journal.take(data) == len(data)
    assert journald.next() == data
    journal.close()


def test_a_journal_that_stands_still_is_not_waited_for(journald: Journald) -> None:
    journal = SystemJournal(journald.path)
    sent = 0
    while journal.take(b"MESSAGE=x\n"):
        sent += 1
        assert sent < 10_000
    # Nor for what goes by memory.
    assert journal.take(bytes(32 << 20)) == 0
    journald.next()
    assert journal.take(b"MESSAGE=y\n") == 10
    journal.close()


def test_a_journal_that_begins_anew_is_found_again(tmp_path: Path) -> None:
    first = Journald(tmp_path / "socket")
    journal = SystemJournal(first.path)
    first.socket.close()
    assert journal.take(b"MESSAGE=x\n") == 0
    Path(first.path).unlink()
    assert journal.take(b"MESSAGE=x\n") == 0
    second = Journald(tmp_path / "socket")
    assert journal.take(b"MESSAGE=x\n") == 10
    assert second.next() == b"MESSAGE=x\n"
    second.socket.close()
    journal.close()


def test_what_can_never_be_sent_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "socket").write_bytes(b"")
    journal = SystemJournal(str(tmp_path / "socket" / "below"))
    with pytest.raises(OSError, match="Not a directory") as caught:
        journal.take(b"MESSAGE=x\n")
    assert caught.value.errno == errno.ENOTDIR
    journal.close()


def test_a_stream_goes_to_the_journal_if_the_variable_names_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        status = os.fstat(ours.fileno())
        named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert goes_to_journal(ours.fileno(), named)
        # Inherited by what has another stream.
        assert not goes_to_journal(theirs.fileno(), named)
        assert not goes_to_journal(ours.fileno(), {})
