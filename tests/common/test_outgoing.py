import ast
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from agent.common import outgoing
from agent.common.outgoing import (
    Destination,
    OtherHostError,
    Outgoing,
    OutsideRegionError,
    StorageKeys,
)
from agent.common.regions import RegionConfig
from tests.fakes.elsewhere import AnswersTwice, Elsewhere

KEYS = StorageKeys("AKEY", "a-secret")
HTTP_DATE = "Sun, 29 Nov 2026 10:00:00 GMT"
OUTGOING = Outgoing(RegionConfig())


def destination(url: str = "https://s3.test", region: str = "FI") -> Destination:
    return Destination("storage[0]", url, region)


def test_every_target_outside_is_named() -> None:
    assert OUTGOING.judge(
        [
            Destination("storage[0]", "https://a.test", "eu-north-1"),
            Destination("storage[1]", "https://b.test", "us-east-1"),
            Destination("gate", "https://c.test", ""),
            Destination("storage[2]", "file:///srv", ""),
            Destination("storage[3]", "file:///srv", "US"),
        ]
    ) == [
        "storage[1].region: 'us-east-1' is in US, which is outside"
        " region.allowed (EU, EEA).",
        "gate.region: no region is stated.",
        "storage[3].region: 'US' is outside region.allowed (EU, EEA).",
    ]


def test_no_client_is_made_for_a_target_outside() -> None:
    outside = destination(region="US")
    with pytest.raises(OutsideRegionError, match=r"storage\[0\].region: 'US'"):
        OUTGOING.s3_client(outside, KEYS)
    with pytest.raises(OutsideRegionError, match=r"storage\[0\].region: 'US'"):
        OUTGOING.http_client(outside, ssl.create_default_context())


def test_a_directory_is_where_this_host_is() -> None:
    here = Outgoing(RegionConfig(here="FI", allowed=("FI",)))
    here.permit(Destination("storage[0]", "file:///srv", ""))
    with pytest.raises(OutsideRegionError):
        here.permit(Destination("storage[0]", "file:///mnt/far", "SE"))


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(KEYS)
    assert "AKEY" not in repr(KEYS)


def test_storage_that_sends_us_on_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Elsewhere() as other, Elsewhere(sends_to=other.url) as storage:
        # Nor does anybody pass through what the environment names.
        monkeypatch.setenv("http_proxy", other.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL", other.url)
        monkeypatch.setenv("AWS_PROFILE", "of-somebody-else")
        client = OUTGOING.s3_client(destination(storage.url), KEYS)
        with pytest.raises(Exception, match=r"\(307\)"):
            client.head_object(Bucket="b", Key="k")
        client.close()
        assert set(storage.asked) == {"HEAD /b/k"}
        assert other.asked == []


def test_a_request_for_another_host_is_refused_before_it_is_sent() -> None:
    with Elsewhere() as other:
        client = OUTGOING.s3_client(destination(), KEYS)
        client.meta.events.register_first(
            "before-send.s3",
            lambda request, **_: setattr(request, "url", f"{other.url}/b"),
        )
        with pytest.raises(OtherHostError, match=r"sends us on to '127\.0\.0\.1'"):
            client.list_objects_v2(Bucket="b")
        client.close()
        assert other.asked == []


def test_an_answer_that_nobody_asked_for_is_not_read_as_the_next_one() -> None:
    with AnswersTwice() as storage:
        client = OUTGOING.s3_client(destination(storage.url), KEYS)
        with pytest.raises(Exception, match="NoSuchPublicAccessBlockConfiguration"):
            client.get_public_access_block(Bucket="b")
        client.put_public_access_block(
            Bucket="b", PublicAccessBlockConfiguration={"BlockPublicAcls": True}
        )
        client.close()


async def test_a_service_is_asked_at_its_own_host_alone() -> None:
    with Elsewhere() as other, Elsewhere(sends_to=other.url) as gate:
        made = OUTGOING.http_client(
            Destination("gate", gate.url, "FI"), ssl.create_default_context()
        )
        async with made as client:
            assert (await client.get("/day-keys")).status_code == 307
            with pytest.raises(OtherHostError):
                await client.get("/day-keys", follow_redirects=True)
            with pytest.raises(OtherHostError):
                await client.get(f"{other.url}/day-keys")
        assert gate.asked == ["GET /day-keys"] * 2
        assert other.asked == []


# What follows holds every module of the agent to this one place.

AGENT: Final = Path(__file__).parents[2] / "agent"
OF_CALLS: Final = (
    "signalling", "media", "cli/phone.py", "cli/demo_site.py", "cli/demo_client.py",
)  # fmt: skip
"""A telephone call goes to whoever is called; the demo's phones and recording client
stay on 127.0.0.1."""
LOCAL: Final = {
    "service/control.py: connect": "asks the daemon on its Unix socket",
    "common/service_manager.py: connect": "tells systemd on its Unix socket",
    "common/system_journal.py: sendto": "tells the journal on its Unix socket",
    "service/app.py: connect": "commands and calls get to know each other: no socket",
}
CLIENTS: Final = {
    "aiohttp", "aiomqtt", "boto3", "botocore", "ftplib", "http.client", "imaplib",
    "obstore", "paho", "requests", "smtplib", "telnetlib", "urllib.request", "urllib3",
    "websockets", "xmlrpc.client",
}  # fmt: skip
HARMLESS: Final = {
    "aiomqtt.exceptions", "botocore.exceptions", "botocore.parsers",
    "paho.mqtt.packettypes", "paho.mqtt.properties", "paho.mqtt.subscribeoptions",
    "urllib3.exceptions",
}  # fmt: skip
CONNECTS: Final = {
    "connect", "connect_ex", "create_client", "create_connection",
    "create_datagram_endpoint", "open_connection", "sendto", "sock_connect",
}  # fmt: skip
OF_HTTPX: Final = {
    "AsyncClient", "Client", "delete", "get", "head", "options", "patch", "post", "put",
    "request", "stream", "AsyncHTTPTransport", "HTTPTransport",
}  # fmt: skip


def connections(tree: ast.AST) -> Iterator[str]:
    """What in a module connects, or makes what does."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                modules = [module, *(f"{module}.{alias.name}" for alias in names)]
                yield from (m for m in modules if m.partition("httpx.")[2] in OF_HTTPX)
                if module in HARMLESS:
                    continue
            case ast.Attribute(value=ast.Name(id="httpx"), attr=name):
                if name in OF_HTTPX:
                    yield f"httpx.{name}"
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sqlite3"))):
                continue
            case ast.Call(func=ast.Attribute(attr=name)) if name in CONNECTS:
                yield name
                continue
            case _:
                continue
        for module in modules:
            parts = module.split(".")
            heads = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
            if heads & CLIENTS and not heads & HARMLESS:
                yield module


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import botocore.session", ["botocore.session"]),
        ("from botocore.exceptions import ClientError", []),
        ("import botocore.exceptions", []),
        (
            "from urllib.request import urlopen",
            ["urllib.request", "urllib.request.urlopen"],
        ),
        ("from urllib.parse import quote", []),
        ("import httpx\nhttpx.AsyncClient()", ["httpx.AsyncClient"]),
        ("import httpx\ntry: pass\nexcept httpx.HTTPError: pass", []),
        ("from httpx import Client", ["httpx.Client"]),
        ("sock.connect(('10.0.0.1', 1))", ["connect"]),
        ("await asyncio.open_connection('a', 1)", ["open_connection"]),
        ("sqlite3.connect('x')", []),
    ],
)
def test_the_search_finds_what_connects(source: str, found: list[str]) -> None:
    assert list(connections(ast.parse(source)))[: len(found) + 1] == found


def test_nobody_else_connects() -> None:
    found = {
        f"{path.relative_to(AGENT)}: {what}"
        for path in AGENT.rglob("*.py")
        if not str(path.relative_to(AGENT)).startswith(OF_CALLS)
        for what in connections(ast.parse(path.read_text()))
    }
    ours = {one for one in found if one.startswith("common/outgoing.py: ")}
    assert found - ours == set(LOCAL)
    assert {
        "common/outgoing.py: create_client",
        "common/outgoing.py: httpx.AsyncClient",
    } <= ours
    # A Unix socket's path is connected to; nothing there knows another kind of socket.
    for name in LOCAL:
        assert "AF_INET" not in (AGENT / name.partition(":")[0]).read_text()


@pytest.mark.parametrize(
    "text", ["2026-11-29T10:00:00.000Z", "2026-11-29T12:00:00+02:00", HTTP_DATE]
)
def test_a_time_of_an_answer_is_read_in_both_forms(text: str) -> None:
    assert outgoing.moment_of(text) == datetime(2026, 11, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "then", "2026-11-29T10:00:00", "2026-13-29", "9"])
def test_what_is_no_time_is_an_error_of_values(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|format|month|must be"):
        outgoing.moment_of(text)
