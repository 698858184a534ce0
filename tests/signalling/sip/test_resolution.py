import random
from collections import Counter
from typing import Any

import pytest

from agent.signalling.sip.resolution import (
    MAX_TARGETS,
    Naptr,
    Question,
    Srv,
    Target,
    UnsupportedTransportError,
    locate,
    order,
)
from agent.signalling.sip.uri import parse_uri

ALL = (("udp", 4), ("tcp", 4), ("tls", 4), ("udp", 6), ("tcp", 6))

ZONE: dict[tuple[str, str], list[Any]] = {
    ("example.com", "NAPTR"): [
        Naptr(20, 10, "s", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(10, 20, "S", "sips+d2t", "_sips._tcp.example.com"),
        Naptr(10, 10, "s", "SIP+D2S", "_sip._sctp.example.com"),
        Naptr(5, 10, "u", "E2U+sip", "!^.*$!sip:x@example.com!"),
        Naptr(30, 10, "s", "SIP+D2T", "_sip._tcp.example.com"),
    ],
    ("_sips._tcp.example.com", "SRV"): [Srv(1, 0, 5071, "secure.example.com")],
    ("_sip._udp.example.com", "SRV"): [
        Srv(20, 0, 5060, "backup.example.com"),
        Srv(10, 0, 5062, "main.example.com"),
    ],
    ("_sip._tcp.example.com", "SRV"): [Srv(1, 0, 5063, "main.example.com")],
    ("_sip._udp.srv.example", "SRV"): [Srv(1, 0, 5064, "main.example.com")],
    ("_sip._tcp.srv.example", "SRV"): [Srv(1, 0, 5065, "192.0.2.77")],
    ("_sip._udp.gone.example", "SRV"): [Srv(0, 0, 0, "")],
    ("secure.example.com", "A"): ["192.0.2.3"],
    ("main.example.com", "A"): ["192.0.2.1"],
    ("main.example.com", "AAAA"): ["2001:db8::1"],
    ("backup.example.com", "A"): ["192.0.2.2"],
    ("plain.example", "A"): ["192.0.2.4", "192.0.2.5"],
    ("gone.example", "A"): ["192.0.2.6"],
}


def found(
    uri: str, served: tuple[tuple[str, int], ...] = ALL
) -> tuple[list[str], list[Question]]:
    """The targets, and what was asked."""
    asked: list[Question] = []
    search = locate(parse_uri(uri), served=served, rng=random.Random(1))
    try:
        question = next(search)
        while True:
            asked.append(question)
            question = search.send(ZONE.get((question.name, question.type), []))
    except StopIteration as end:
        targets: list[Target] = end.value
        return [f"{t.transport} {t.host} {t.port}" for t in targets], asked


def test_naptr_then_srv_then_addresses() -> None:
    targets, asked = found("sip:example.com")
    assert targets == [
        "tls 192.0.2.3 5071",
        "udp 192.0.2.1 5062",
        "udp 2001:db8::1 5062",
        "udp 192.0.2.2 5060",
        "tcp 192.0.2.1 5063",
        "tcp 2001:db8::1 5063",
    ]
    assert asked[0] == Question("example.com", "NAPTR")
    assert Question("_sip._sctp.example.com", "SRV") not in asked


def test_without_naptr_each_transports_srv_is_asked_for() -> None:
    targets, asked = found("sip:srv.example")
    assert targets == [
        "udp 192.0.2.1 5064",
        "udp 2001:db8::1 5064",
        "tcp 192.0.2.77 5065",
    ]
    assert Question("_sips._tcp.srv.example", "SRV") in asked


def test_without_srv_the_addresses_at_the_default_port() -> None:
    assert found("sip:plain.example")[0] == ["udp 192.0.2.4 5060", "udp 192.0.2.5 5060"]
    assert found("sip:plain.example", (("tls", 4),))[0] == [
        "tls 192.0.2.4 5061",
        "tls 192.0.2.5 5061",
    ]
    assert found("sip:nowhere.example")[0] == []


def test_a_service_that_is_decidedly_not_there() -> None:
    assert found("sip:gone.example;transport=udp")[0] == []
    # Nothing was said of the other transports: the host itself is tried.
    assert found("sip:gone.example")[0] == ["udp 192.0.2.6 5060"]


def test_a_named_transport_asks_for_its_srv_alone() -> None:
    targets, asked = found("sip:srv.example;transport=TCP")
    assert targets == ["tcp 192.0.2.77 5065"]
    assert asked == [Question("_sip._tcp.srv.example", "SRV")]
    targets, asked = found("sip:plain.example;transport=tcp")
    assert targets == ["tcp 192.0.2.4 5060", "tcp 192.0.2.5 5060"]
    assert found("sips:example.com;transport=tcp")[0] == ["tls 192.0.2.3 5071"]


def test_a_port_or_an_address_needs_no_srv() -> None:
    assert found("sip:plain.example:5070")[0][0] == "udp 192.0.2.4 5070"
    assert found("sip:main.example.com:5070;transport=tcp")[0] == [
        "tcp 192.0.2.1 5070",
        "tcp 2001:db8::1 5070",
    ]
    assert found("sip:192.0.2.9") == (["udp 192.0.2.9 5060"], [])
    assert found("sip:192.0.2.9", (("tcp", 4),))[0] == ["tcp 192.0.2.9 5060"]
    assert found("sips:192.0.2.9") == (["tls 192.0.2.9 5061"], [])
    assert found("sip:[2001:db8::7]:5070") == (["udp 2001:db8::7 5070"], [])
    assert found("sip:[2001:db8::7]", (("udp", 4),))[0] == []


def test_sips_goes_by_tls_only() -> None:
    targets, _ = found("sips:example.com")
    assert targets == ["tls 192.0.2.3 5071"]


@pytest.mark.parametrize(
    ("uri", "served"),
    [
        ("sip:a;transport=sctp", ALL),
        ("sip:a;transport=tls", (("udp", 4),)),
        ("sips:a;transport=udp", ALL),
        ("sips:192.0.2.1", (("udp", 4), ("tcp", 4))),
    ],
)
def test_transports_that_nobody_serves(
    uri: str, served: tuple[tuple[str, int], ...]
) -> None:
    with pytest.raises(UnsupportedTransportError, match="no listener"):
        found(uri, served)


def test_no_more_targets_than_a_caller_can_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = [Srv(1, 1, port, "plain.example") for port in range(100)]
    monkeypatch.setitem(ZONE, ("_sip._udp.many.example", "SRV"), many)
    for uri in ("sip:many.example", "sip:many.example;transport=udp"):
        targets, asked = found(uri)
        assert len(targets) == MAX_TARGETS
        assert len(asked) <= 4 + 2 * MAX_TARGETS


def test_the_lot_falls_by_weight() -> None:
    heavy, light = Srv(1, 90, 1, "heavy"), Srv(1, 10, 2, "light")
    last = Srv(2, 0, 3, "last")
    rng = random.Random(7)
    firsts = Counter(order([last, light, heavy], rng)[0].target for _ in range(2000))
    assert 1700 < firsts["heavy"] < 1900
    assert firsts["last"] == 0
    orders = [order([last, light, heavy], rng) for _ in range(50)]
    assert all(found[-1] is last and len(found) == 3 for found in orders)


def test_weight_zero_has_a_very_small_chance() -> None:
    none, some = Srv(1, 0, 1, "none"), Srv(1, 99, 2, "some")
    rng = random.Random(7)
    firsts = Counter(order([some, none], rng)[0].target for _ in range(3000))
    assert 0 < firsts["none"] < 100
    assert order([], rng) == []
