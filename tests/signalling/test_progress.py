import os
import socket
from collections.abc import Iterator

import pytest

from agent.signalling import progress
from agent.signalling.progress import Progress, progress_of

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            yield near, far


@pytest.mark.parametrize("opened", [True, False])
def test_what_was_read_and_written_is_counted(ends: Ends, *, opened: bool) -> None:
    ours, theirs = ends if opened else ends[::-1]
    start = progress_of(ours)
    theirs.sendall(b"x" * 100)
    assert ours.recv(30, socket.MSG_PEEK | socket.MSG_WAITALL)
    assert progress_of(ours) == start
    ours.recv(30)
    ours.sendall(b"y" * 7)
    assert progress_of(ours) == Progress(start.read + 30, start.written + 7)
    ours.sendall(b"z" * 100_000)
    assert progress_of(ours) == Progress(start.read + 30, start.written + 100_007)


def test_another_descriptor_of_it_counts_the_same(ends: Ends) -> None:
    ours, theirs = ends
    theirs.sendall(b"x" * 10)
    assert ours.recv(10, socket.MSG_WAITALL)
    with socket.socket(fileno=os.dup(ours.fileno())) as other:
        assert progress_of(other) == progress_of(ours)


def test_an_old_kernel_is_no_help(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AT", 900)
    with pytest.raises(OSError, match="counts no octets"):
        progress_of(ends[0])


def test_what_never_stands_still_is_given_up(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MAX_TRIES", 0)
    with pytest.raises(OSError, match="stand still"):
        progress_of(ends[0])
