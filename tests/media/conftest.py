import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.common.clock import utc_ns
from agent.media import sockets
from agent.model.call import EndCause
from tests.media.desks import Desk, Legs
from tests.media.legs import Bench
from tests.media.pairs import FIRST, NOTICE, RINGBACK
from tests.media.phones import HOST, Phone, Site, site


@pytest.fixture(scope="session", autouse=True)
def stamping() -> Iterator[None]:
    """The kernel begins to note arrivals a while after the first socket asks for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind((HOST, 0))
        channel.settimeout(0)
        sockets.tell_arrivals(channel)
        for _ in range(100_000):
            channel.sendto(b"x", channel.getsockname())
            if any(sockets.queued(channel, 1, utc_ns())):
                break
        yield


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Site]:
    ports = FIRST, FIRST + 99
    async with site(tmp_path, ports=ports, sounds=(NOTICE, RINGBACK)) as running:
        yield running


@pytest.fixture
def customer() -> Iterator[Phone]:
    with Phone(ssrc=0xC0) as phone:
        yield phone


@pytest.fixture
def officer() -> Iterator[Phone]:
    with Phone(ssrc=0x0F) as phone:
        yield phone


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.relay.finish(EndCause.AGENT_STOPPED)
    desk.loop.close()


@pytest.fixture
def phones() -> Iterator[tuple[Phone, Phone]]:
    with Phone() as customer, Phone() as officer:
        yield customer, officer


@pytest.fixture
def legs(desk: Desk, phones: tuple[Phone, Phone]) -> Legs:
    for name, phone in zip("co", phones, strict=True):
        desk.open(name, phone)
    return phones
