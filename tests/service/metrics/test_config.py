from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.service.metrics.config import LoopbackAddress, MetricsConfig, SocketPath


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", None),
        ("127.0.0.1:9464", LoopbackAddress("127.0.0.1", 9464)),
        ("127.8.8.8:1", LoopbackAddress("127.8.8.8", 1)),
        ("[::1]:65535", LoopbackAddress("::1", 65535)),
        ("unix:/run/a/m.sock", SocketPath(PurePosixPath("/run/a/m.sock"))),
    ],
)
def test_where_to_listen(listen: str, address: object) -> None:
    assert MetricsConfig(listen=listen).address() == address


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("0.0.0.0:9464", "not this host alone"),
        ("[::]:9464", "not this host alone"),
        ("192.0.2.1:9464", "not this host alone"),
        ("[2001:db8::1]:9464", "not this host alone"),
        ("localhost:9464", "no IP address"),
        (":9464", "no IP address"),
        ("127.0.0.1", "no port"),
        ("127.0.0.1:", "no port"),
        ("127.0.0.1:0", "no port"),
        ("127.0.0.1:65536", "no port"),
        ("127.0.0.1:٩", "no port"),
        ("unix:", "absolute path"),
        ("unix:metrics.sock", "absolute path"),
        ("unix:/" + "x" * 100, "absolute path"),
    ],
)
def test_what_is_no_place_to_listen_is_refused(listen: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MetricsConfig(listen=listen)
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert({"listen": listen}, MetricsConfig)


@given(st.text(max_size=40))
def test_whatever_is_configured_is_a_place_or_refused(listen: str) -> None:
    try:
        address = MetricsConfig(listen=listen).address()
    except ValueError:
        return
    assert (address is None) == (not listen)
