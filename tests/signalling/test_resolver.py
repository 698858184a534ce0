import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import dns.resolver
import pytest

from agent.model.media import Address
from agent.signalling import resolver as module
from agent.signalling.resolver import Resolver
from agent.signalling.sip.answers import STALE_SECONDS
from agent.signalling.sip.resolution import Target
from agent.signalling.sip.uri import parse_uri
from tests.lab.nameserver import NameServer
from tests.patience import PATIENCE

SERVED = (("udp", 4), ("tcp", 4), ("udp", 6))

ZONE = {
    ("example.com", "NAPTR"): [
        '10 10 "s" "SIP+D2T" "" _sip._tcp.example.com.',
        '20 10 "s" "SIP+D2U" "" _sip._udp.example.com.',
    ],
    ("_sip._tcp.example.com", "SRV"): ["1 0 5070 a.example.com."],
    ("_sip._udp.example.com", "SRV"): [
        "1 0 5071 a.example.com.",
        "2 0 5072 b.example.com.",
    ],
    ("_sip._udp.gone.example.com", "SRV"): ["0 0 0 ."],
    ("a.example.com", "A"): ["192.0.2.1"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("b.example.com", "A"): ["192.0.2.2"],
}


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    server = NameServer()
    server.zone = dict(ZONE)
    server.address = await server.start()  # type: ignore[attr-defined]
    yield server
    server.close()
    await asyncio.sleep(0)


@pytest.fixture
def resolver(server: Any) -> Resolver:
    return Resolver([server.address], rng=random.Random(1))


async def found(resolver: Resolver, uri: str) -> list[Target]:
    async with asyncio.timeout(PATIENCE):
        return await resolver.targets(parse_uri(uri), SERVED)


async def test_a_domain_with_everything(server: NameServer, resolver: Resolver) -> None:
    assert await found(resolver, "sip:example.com") == [
        Target("tcp", "192.0.2.1", 5070),
        Target("udp", "192.0.2.1", 5071),
        Target("udp", "2001:db8::1", 5071),
        Target("udp", "192.0.2.2", 5072),
    ]
    asked = len(server.asked)
    assert resolver.stats.questions == asked
    assert await found(resolver, "sip:b.example.com:5099") == [
        Target("udp", "192.0.2.2", 5099)
    ]
    assert len(server.asked) == asked  # all of it was known


async def test_what_is_not_there(server: NameServer, resolver: Resolver) -> None:
    assert await found(resolver, "sip:nowhere.example.com") == []
    asked = len(server.asked)
    assert await found(resolver, "sip:nowhere.example.com") == []
    assert len(server.asked) == asked  # that it is not there is known, too
    assert await found(resolver, "sip:gone.example.com;transport=udp") == []
    assert resolver.stats.failures == 0


async def test_a_lifetime_is_kept_and_an_old_answer_stands_in(
    server: NameServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "sip:b.example.com:5060"
    there = [Target("udp", "192.0.2.2", 5060)]
    loop = asyncio.get_running_loop()
    real, late = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + late)
    assert await found(resolver, uri) == there
    late = 61.0
    server.zone["b.example.com", "A"] = ["192.0.2.99"]
    assert (await found(resolver, uri))[0].host == "192.0.2.99"
    late = 200.0
    server.broken = True
    assert (await found(resolver, uri))[0].host == "192.0.2.99"
    assert resolver.stats.failures == resolver.stats.stale == 2  # A and AAAA
    late = 200.0 + STALE_SECONDS
    assert await found(resolver, uri) == []


async def test_a_name_server_that_says_nothing(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIFETIME", 0.2)
    server.silent = True
    address: Address = server.address  # type: ignore[attr-defined]
    resolver = Resolver([address], rng=random.Random(1))
    assert await found(resolver, "sip:b.example.com:5060") == []
    assert resolver.stats.failures == 2


async def test_the_hosts_file_counts_where_no_name_server_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unconfigured(*_: Any, **__: Any) -> Any:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", unconfigured)
    resolver = Resolver(rng=random.Random(1))

    async def hosts(host: str, port: Any, *, family: int, **_: Any) -> Any:
        if host == "pbx" and family == 2:
            return [(2, 2, 17, "", ("192.0.2.8", 0)), (2, 2, 17, "", ("192.0.2.8", 0))]
        raise OSError("unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hosts)
    assert await found(resolver, "sip:pbx:5070") == [Target("udp", "192.0.2.8", 5070)]
    assert await found(resolver, "sip:other:5070") == []


def test_the_systems_name_servers_are_the_default() -> None:
    resolver = Resolver(rng=random.Random(1))
    assert resolver._hosts_file
