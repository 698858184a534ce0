import socket
import sys
from collections.abc import Iterator
from subprocess import run

import pytest

from agent.media import sockets
from tests.ports import span

HOST = "127.0.0.1"


def udp() -> socket.socket:
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    channel.bind((HOST, 0))
    channel.settimeout(0)
    return channel


@pytest.fixture
def trio() -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    ours, peer, stranger = udp(), udp(), udp()
    with ours, peer, stranger:
        yield ours, peer, stranger


Trio = tuple[socket.socket, socket.socket, socket.socket]


def test_connecting_sorts_what_was_queued(trio: Trio) -> None:
    ours, peer, stranger = trio
    for channel, data in ((stranger, b"s1"), (peer, b"p1"), (stranger, b"s2")):
        channel.sendto(data, ours.getsockname())
    assert sockets.connect(ours, peer.getsockname(), 100) == [b"p1"]
    assert sockets.peer_of(ours) == peer.getsockname()
    stranger.sendto(b"s3", ours.getsockname())
    peer.sendto(b"p2", ours.getsockname())
    assert ours.recv(100) == b"p2"


def test_disconnecting_opens_it_again_on_the_same_port(trio: Trio) -> None:
    _, peer, stranger = trio
    # The kernel keeps a port through this only if it was asked for by number.
    name = HOST, span(1)
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind(name)
    ours.settimeout(0)
    sockets.connect(ours, peer.getsockname(), 100)
    sockets.disconnect(ours)
    assert sockets.peer_of(ours) is None
    assert ours.getsockname() == name
    stranger.sendto(b"s", name)
    assert ours.recvfrom(100) == (b"s", stranger.getsockname())
    ours.close()


def test_an_icmp_error_is_read_away(trio: Trio) -> None:
    ours, peer, _ = trio
    name = peer.getsockname()
    sockets.connect(ours, name, 100)
    peer.close()
    ours.send(b"nobody there")
    assert sockets.discard(ours) == 0
    ours.send(b"nobody there")
    assert sockets.connect(ours, name, 100) == []


def test_discarding_counts(trio: Trio) -> None:
    ours, peer, _ = trio
    for _ in range(3):
        peer.sendto(b"x", ours.getsockname())
    assert sockets.discard(ours) == 3


def test_a_closed_socket_cannot_part(trio: Trio) -> None:
    ours, *_ = trio
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        sockets.disconnect(ours)


def test_dumps_can_be_forbidden() -> None:
    # PR_GET_DUMPABLE is 3; in a process of its own, for this one stays as it is.
    script = (
        "import ctypes; from agent.media.sockets import forbid_dumps; forbid_dumps();"
        "raise SystemExit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    assert run([sys.executable, "-c", script], check=False).returncode == 0
