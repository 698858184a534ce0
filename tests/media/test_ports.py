import socket
from collections.abc import Iterator

import pytest

from agent.media.errors import NoPortsError
from agent.media.ports import MAX_ROUNDS, PortPair, PortPool
from agent.media.sockets import peer_of
from tests.ports import span

HOST = "127.0.0.1"
FIRST = span(6)


@pytest.fixture
def pool() -> Iterator[PortPool]:
    pool = PortPool(FIRST, FIRST + 5, drain=2.0)
    yield pool
    pool.close()


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        yield stranger


def allocate(pool: PortPool, count: int) -> list[PortPair]:
    return [pool.allocate(HOST) for _ in range(count)]


def test_pairs_are_even_and_odd_and_bound(pool: PortPool) -> None:
    (pair,) = allocate(pool, 1)
    assert pair.rtp.getsockname() == (HOST, FIRST)
    assert pair.rtcp.getsockname() == (HOST, FIRST + 1)
    assert pair.rtp.getblocking() is False
    assert peer_of(pair.rtp) is None
    assert (pool.free, pool.in_use) == (2, 1)
    pair.close()


@pytest.mark.parametrize(
    ("first", "last", "pairs"),
    [(20000, 20001, 1), (20000, 20002, 1), (20001, 20003, 1), (20001, 20002, 0)],
)
def test_only_whole_pairs_count(first: int, last: int, pairs: int) -> None:
    assert PortPool(first, last, drain=1.0).free == pairs


def test_all_in_use_is_said(pool: PortPool) -> None:
    pairs = allocate(pool, 3)
    with pytest.raises(NoPortsError, match=r"media\.ports"):
        pool.allocate(HOST)
    for pair in pairs:
        pair.close()


def test_anothers_port_is_passed_over(pool: PortPool, stranger: socket.socket) -> None:
    stranger.bind((HOST, FIRST + 1))
    pairs = allocate(pool, 2)
    assert [pair.port for pair in pairs] == [FIRST + 2, FIRST + 4]
    with pytest.raises(NoPortsError, match="in use"):
        pool.allocate(HOST)
    for pair in pairs:
        pair.close()


def test_an_address_of_another_host_is_refused(pool: PortPool) -> None:
    with pytest.raises(NoPortsError, match=r"192\.0\.2\.1"):
        pool.allocate("192.0.2.1")
    assert pool.free == 3


def test_a_released_pair_is_held_and_comes_last(pool: PortPool) -> None:
    (pair,) = allocate(pool, 1)
    pool.release(pair, now=10.0)
    assert (pool.free, pool.draining, pool.in_use) == (2, 1, 0)
    assert pool.get_timer() == 12.0
    pool.sweep(now=11.9)
    assert pool.draining == 1
    pool.sweep(now=12.0)
    assert (pool.free, pool.draining, pool.get_timer()) == (3, 0, None)
    again = allocate(pool, 3)
    assert [pair.port for pair in again] == [FIRST + 2, FIRST + 4, FIRST]
    for pair in again:
        pair.close()


def test_a_pair_to_which_somebody_still_sends_is_held_on(
    pool: PortPool, stranger: socket.socket
) -> None:
    (pair,) = allocate(pool, 1)
    stranger.sendto(b"before", (HOST, FIRST))
    pool.release(pair, now=0.0)
    stranger.sendto(b"after", (HOST, FIRST))
    pool.sweep(now=2.0)
    assert pool.draining == 1
    pool.sweep(now=4.0)
    assert pool.draining == 0


def test_but_not_for_ever(pool: PortPool, stranger: socket.socket) -> None:
    (pair,) = allocate(pool, 1)
    pool.release(pair, now=0.0)
    for n in range(MAX_ROUNDS + 1):
        assert pool.draining == 1
        stranger.sendto(b"x", (HOST, FIRST + 1))
        pool.sweep(now=2.0 * (n + 1))
    assert pool.draining == 0


def test_ipv6(pool: PortPool) -> None:
    pair = pool.allocate("::1")
    assert pair.rtp.getsockname()[:2] == ("::1", FIRST)
    pool.release(pair, now=0.0)
