from ipaddress import ip_network

import pytest

from agent.call.config import (
    PeerConfig,
    RouteConfig,
    certificate_name,
    parse_match,
)


def route(**changes: object) -> RouteConfig:
    fields: dict[str, object] = {
        "name": "r",
        "from_": "trunk",
        "number": "1",
        "direction": "inbound",
        "to": ("sip:1@192.0.2.1",),
        "notice": ("fi.wav",),
    }
    return RouteConfig(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "network", "port"),
    [
        ("127.0.0.1", "127.0.0.1/32", None),
        ("127.0.0.1:5080", "127.0.0.1/32", 5080),
        ("10.0.0.0/8", "10.0.0.0/8", None),
        ("2001:db8::/32", "2001:db8::/32", None),
        ("[2001:db8::1]:5060", "2001:db8::1/128", 5060),
        ("[2001:db8::1]", "2001:db8::1/128", None),
    ],
)
def test_match_entries(entry: str, network: str, port: int | None) -> None:
    assert parse_match(entry) == (ip_network(network), port)


@pytest.mark.parametrize("entry", ["", "example.org", "127.0.0.1:x", "1.2.3.4/40"])
def test_bad_match_entries_are_named(entry: str) -> None:
    with pytest.raises(ValueError, match="match entry"):
        PeerConfig(name="p", match=(entry,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codecs": ("G729",)}, "codecs must name"),
        ({"codecs": ()}, "codecs must name"),
        ({"to": ()}, "to must name"),
        ({"notice_mode": "early", "direction": "outbound"}, "before answering"),
        ({"notice": ()}, "notice must name"),
        ({"number": "0*1"}, "one \\*"),
    ],
)
def test_route_mistakes(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        route(**changes)


def test_a_match_may_be_a_certificates_name() -> None:
    assert certificate_name("tls:PBX.example") == "pbx.example"
    assert certificate_name("192.0.2.1") is None
    PeerConfig(name="pbx", match=("tls:pbx.example",))
    for entry in ("tls:", "tls:*.example"):
        with pytest.raises(ValueError, match="no whole name"):
            PeerConfig(name="pbx", match=(entry,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"username": "a"}, "go together"),
        ({"password_file": "p"}, "go together"),
        ({"username": 'a"b', "password_file": "p"}, "quotes"),
        ({"username": "a", "password_file": "p", "realm": "\\"}, "quotes"),
        ({"register": True}, "register needs"),
        ({"register": True, "username": "a", "password_file": "p"}, "register needs"),
        ({"register_expires": 59}, "register_expires"),
        ({"register_expires": 86401}, "register_expires"),
    ],
)
def test_mistakes_about_passwords(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PeerConfig(name="p", match=(), **changes)  # type: ignore[arg-type]
    given = {"username": "a", "password_file": "p", "register": True}
    PeerConfig(name="p", match=(), uri="sip:x", **given)  # type: ignore[arg-type]


def test_a_certificates_name_is_for_connecting() -> None:
    PeerConfig(name="p", match=(), uri="sips:pbx.example", certificate="pbx")
    with pytest.raises(ValueError, match="there is none"):
        PeerConfig(name="p", match=(), certificate="pbx")


def test_a_probe_needs_somewhere_to_go() -> None:
    with pytest.raises(ValueError, match="probe asks at uri"):
        PeerConfig(name="p", match=(), probe=30.0)


@pytest.mark.parametrize("seconds", [-1.0, 3601.0])
def test_a_pause_has_an_end(seconds: float) -> None:
    assert route(max_pause=3600.0).max_pause == 3600.0
    with pytest.raises(ValueError, match="max_pause"):
        route(max_pause=seconds)
