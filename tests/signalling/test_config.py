import pytest

from agent.model.media import Address
from agent.signalling.config import (
    Listener,
    SipConfig,
    TlsConfig,
    parse_listen,
    parse_nameserver,
)


@pytest.mark.parametrize(
    ("entry", "listener"),
    [
        ("udp:127.0.0.1:5060", Listener("udp", Address("127.0.0.1", 5060))),
        ("tcp:127.0.0.1:5061", Listener("tcp", Address("127.0.0.1", 5061))),
        ("tls:[::1]:5061", Listener("tls", Address("::1", 5061))),
        ("udp:[2001:db8::1]:5060", Listener("udp", Address("2001:db8::1", 5060))),
    ],
)
def test_listen_entries(entry: str, listener: Listener) -> None:
    assert parse_listen(entry) == listener


@pytest.mark.parametrize(
    "entry",
    ["", "udp", "udp:5060", "udp:host:5060", "udp:127.0.0.1:0", "udp:127.0.0.1:70000"],
)
def test_bad_listen_entries_are_named(entry: str) -> None:
    with pytest.raises(ValueError, match="listen entry"):
        SipConfig(listen=(entry,))


def test_unknown_transports_and_empty_lists() -> None:
    with pytest.raises(ValueError, match="udp, tcp or tls"):
        parse_listen("sctp:127.0.0.1:5060")
    with pytest.raises(ValueError, match="at least one"):
        SipConfig(listen=())


def test_a_certificate_needs_its_key() -> None:
    assert not TlsConfig().certificate
    for fields in ({"certificate": "a.pem"}, {"key": "a-key.pem"}):
        with pytest.raises(ValueError, match="go together"):
            TlsConfig(**fields)


@pytest.mark.parametrize(("expires", "least"), [(0, 90), (90, 90), (1800, 300)])
def test_session_timers(expires: int, least: int) -> None:
    listen = ("udp:127.0.0.1:5060",)
    config = SipConfig(listen=listen, session_expires=expires, min_se=least)
    assert config.session_expires == expires


@pytest.mark.parametrize(
    ("expires", "least", "said"),
    [(89, 90, "session_expires"), (1800, 89, "min_se"), (-1, 90, "session_expires")],
)
def test_session_timers_that_nobody_may_have(
    expires: int, least: int, said: str
) -> None:
    listen = ("udp:127.0.0.1:5060",)
    with pytest.raises(ValueError, match=said):
        SipConfig(listen=listen, session_expires=expires, min_se=least)


def test_a_lockout_needs_a_failure() -> None:
    with pytest.raises(ValueError, match="lockout_failures"):
        SipConfig(listen=("udp:127.0.0.1:5060",), lockout_failures=0)


def test_name_servers() -> None:
    assert parse_nameserver("192.0.2.53") == Address("192.0.2.53", 53)
    assert parse_nameserver("2001:db8::53") == Address("2001:db8::53", 53)
    assert parse_nameserver("192.0.2.53:5353") == Address("192.0.2.53", 5353)
    assert parse_nameserver("[2001:db8::53]:5353") == Address("2001:db8::53", 5353)
    for entry in ("", "ns.example", "192.0.2.53:0", "192.0.2.53:x"):
        with pytest.raises(ValueError, match="nameserver"):
            SipConfig(listen=("udp:127.0.0.1:5060",), nameservers=(entry,))
