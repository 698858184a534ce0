import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import structlog

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.registrar import Account, Registrar
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.useragent import UserAgent
from tests.patience import PATIENCE
from tests.ports import free_ports

Answer = tuple[int, Sequence[tuple[str, str]]]


class Exchange(asyncio.DatagramProtocol):
    """A registrar that answers what it is told to; silent when it has nothing left."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.heard = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        request = parse_message(data)
        assert isinstance(request, Request)
        if any(one.top_via.branch == request.top_via.branch for one in self.requests):
            return
        self.requests.append(request)
        if self.answers:
            status, headers = self.answers.pop(0)
            response = response_to(request, status, to_tag="t", headers=headers)
            self.transport.sendto(response.to_bytes(), addr)
        self.heard.set()

    async def has(self, count: int) -> None:
        """Wait until that many requests have come."""
        while len(self.requests) < count:
            self.heard.clear()
            await self.heard.wait()

    @property
    def expires(self) -> list[str | None]:
        return [request.headers.get("Expires") for request in self.requests]


@pytest.fixture
async def site() -> AsyncIterator[tuple[Exchange, Registrar, UserAgent]]:
    ours, theirs = free_ports(2)
    transport, exchange = await asyncio.get_running_loop().create_datagram_endpoint(
        Exchange, local_addr=("127.0.0.1", theirs)
    )
    core = UserAgentCore(
        rng=random.Random(1), timers=Timers(t1=0.01, t2=0.02), product="test"
    )
    address = Address("127.0.0.1", ours)
    agent = UserAgent(core, [Listener("udp", address)], lambda _: None)
    await agent.start()
    account = Account(
        peer="trunk",
        registrar=parse_uri(f"sip:127.0.0.1:{theirs}"),
        aor=parse_uri("sip:agent@trunk.example"),
        expires=600,
    )
    yield exchange, Registrar(agent, account, random.Random(1)), agent
    agent.close()
    transport.close()


async def until(registrar: Registrar, *, registered: int) -> None:
    while registrar.stats.registered < registered:
        await asyncio.sleep(0)


async def test_it_registers_and_takes_it_back(
    site: tuple[Exchange, Registrar, UserAgent],
) -> None:
    exchange, registrar, agent = site
    exchange.answers = [(423, [("Min-Expires", "1800")]), (200, []), (200, [])]
    with structlog.testing.capture_logs() as logs:
        running = asyncio.ensure_future(registrar.run())  # noqa: TID251
        async with asyncio.timeout(PATIENCE):
            await until(registrar, registered=1)
            assert registrar.registered
            running.cancel()
            await registrar.stop()
            await registrar.stop()
    assert exchange.expires == ["600", "1800", "0"]
    contact = exchange.requests[0].contact
    assert contact is not None
    listener = next(iter(agent._transports))
    assert str(contact.uri) == f"sip:agent@{listener}"
    assert [entry["event"] for entry in logs] == ["registered"]
    assert "agent" not in str(logs[0])
    assert not registrar.registered


async def test_failures_are_told_and_tried_again(
    site: tuple[Exchange, Registrar, UserAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.signalling.sip.registration.BASE_WAIT", 0.01)
    exchange, registrar, _ = site
    exchange.answers = [(503, []), (200, [])]
    with structlog.testing.capture_logs() as logs:
        running = asyncio.ensure_future(registrar.run())  # noqa: TID251
        async with asyncio.timeout(PATIENCE):
            await until(registrar, registered=1)
        running.cancel()
    assert [(e["event"], e.get("sip_status"), e["peer"]) for e in logs] == [
        ("registration_failed", 503, "trunk"),
        ("registered", None, "trunk"),
    ]
    assert registrar.stats.failed == 1


async def test_a_renewal_says_nothing(
    site: tuple[Exchange, Registrar, UserAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.signalling.sip.registration.MIN_INTERVAL", 0.01)
    exchange, registrar, _ = site
    exchange.answers = [(200, [("Expires", "1")])] * 3
    with structlog.testing.capture_logs() as logs:
        running = asyncio.ensure_future(registrar.run())  # noqa: TID251
        async with asyncio.timeout(PATIENCE):
            await until(registrar, registered=3)
        running.cancel()
    assert [entry["event"] for entry in logs] == ["registered"]
    numbers = [request.cseq.number for request in exchange.requests]
    assert numbers == sorted(set(numbers))


async def test_a_registrar_nobody_finds(
    site: tuple[Exchange, Registrar, UserAgent],
) -> None:
    _, registrar, agent = site
    account = Account("trunk", parse_uri("sip:[::1]"), parse_uri("sip:a@b"), 600)
    lost = Registrar(agent, account, random.Random(1))
    with structlog.testing.capture_logs() as logs:
        await lost._register()
        await registrar.stop()  # it never was registered
    assert [entry["event"] for entry in logs] == ["registration_failed"]
    assert lost.stats.failed == 1


async def test_a_silent_registrar_does_not_hold_up_the_end(
    site: tuple[Exchange, Registrar, UserAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.signalling.registrar.FAREWELL_SECONDS", 0.05)
    exchange, registrar, _ = site
    exchange.answers = [(200, [])]
    await registrar._register()
    assert registrar.registered
    with structlog.testing.capture_logs() as logs:
        await registrar.stop()
    assert [entry["event"] for entry in logs] == ["registration_not_taken_back"]


class Scattered(UserAgent):
    """Finds two ways to everybody, the first of which leads nowhere."""

    async def flows_to(self, uri: Uri) -> list[Flow]:
        [flow] = await super().flows_to(uri)
        nowhere = Address("127.0.0.1", free_ports(1)[0])
        return [Flow(flow.transport, flow.local, nowhere), flow, flow]


async def test_the_next_way_is_tried_where_one_leads_nowhere(
    site: tuple[Exchange, Registrar, UserAgent],
) -> None:
    exchange, _, agent = site
    core = UserAgentCore(
        rng=random.Random(2), timers=Timers(t1=0.001, t2=0.01), product="test"
    )
    address = Address("127.0.0.1", free_ports(1)[0])
    scattered = Scattered(core, [Listener("udp", address)], lambda _: None)
    await scattered.start()
    to = parse_uri(
        f"sip:{exchange.transport.get_extra_info('sockname')[0]}:"
        f"{exchange.transport.get_extra_info('sockname')[1]}"
    )
    account = Account("trunk", to, parse_uri("sip:agent@trunk.example"), 600)
    registrar = Registrar(scattered, account, random.Random(1))
    exchange.answers = [(403, [])]
    with structlog.testing.capture_logs() as logs:
        await registrar._register()
    scattered.close()
    assert [entry["sip_status"] for entry in logs] == [403]
    assert len(exchange.requests) == 1
    assert registrar.peer == "trunk"
    assert agent.now > 0
