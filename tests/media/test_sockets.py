import socket
from collections.abc import Iterator

import pytest

from agent.common.clock import utc_ns
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


def test_what_waits_comes_by_its_moment(trio: Trio) -> None:
    ours, peer, stranger = trio
    sockets.tell_arrivals(ours)
    before = utc_ns()
    peer.sendto(b"p1", ours.getsockname())
    stranger.sendto(b"too long", ours.getsockname())
    between = utc_ns()
    peer.sendto(b"p2", ours.getsockname())
    first, second = sockets.queued(ours, 3, between)
    assert first[:2] == (b"p1", peer.getsockname())
    assert second[:2] == (b"too", stranger.getsockname())
    assert before <= first[2] <= second[2] <= between
    assert [data for data, _, _ in sockets.queued(ours, 9, utc_ns())] == [b"p2"]
    assert list(sockets.queued(ours, 9, utc_ns())) == []


def test_where_nobody_asked_it_is_as_if_it_came_now(trio: Trio) -> None:
    ours, peer, _ = trio
    peer.sendto(b"p1", ours.getsockname())
    assert list(sockets.queued(ours, 9, 1 << 62)) == []
    assert ours.recv(9) == b"p1"


def test_an_error_before_what_waits_is_passed_over(trio: Trio) -> None:
    ours, _, _ = trio
    with udp() as gone:
        nobody = gone.getsockname()
    ours.connect(nobody)
    ours.send(b"to nobody")
    assert list(sockets.queued(ours, 9, 1 << 62)) == []


def test_connecting_sorts_what_was_queued(trio: Trio) -> None:
    ours, peer, stranger = trio
    sockets.tell_arrivals(ours)
    before = utc_ns()
    for channel, data in ((stranger, b"s1"), (peer, b"p1"), (stranger, b"s2")):
        channel.sendto(data, ours.getsockname())
    after = utc_ns()
    [(data, arrival_ns)] = sockets.connect(ours, peer.getsockname(), 100)
    assert data == b"p1"
    assert arrival_ns is not None
    assert before <= arrival_ns <= after
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
