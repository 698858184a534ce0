import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from agent.gate import server as module
from agent.gate.connections import Connections
from agent.gate.server import GateServer, TlsError, spki_of, tls_context
from tests.patience import PATIENCE


class Site:
    """An issuer, the gate's certificate, and people's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer = trustme.CA()
        self.issuer.cert_pem.write_to_path(folder / "issuer.pem")
        gate = self.issuer.issue_cert("127.0.0.1")
        gate.cert_chain_pems[0].write_to_path(folder / "gate.pem")
        gate.private_key_pem.write_to_path(folder / "gate.key")

    def server(self, issuers: str = "issuer.pem") -> ssl.SSLContext:
        names = ("gate.pem", "gate.key", issuers)
        return tls_context(*(self.folder / name for name in names))

    def person(
        self, issuer: trustme.CA | None = None
    ) -> tuple[ssl.SSLContext, str, bytes]:
        """A client's context, its certificate's SPKI, and the certificate (PEM)."""
        made = (issuer or self.issuer).issue_cert("p-1@gate.test")
        context = ssl.create_default_context(cafile=str(self.folder / "issuer.pem"))
        made.configure_cert(context)
        pem = made.cert_chain_pems[0].bytes()
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        return context, spki_of(der), pem


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def whoami(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = scope["state"]["spki"].encode()
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(tls: ssl.SSLContext) -> AsyncIterator[tuple[int, GateServer]]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = GateServer(whoami, tls)
    task = asyncio.get_running_loop().create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1], server
    finally:
        server.stop()
        await task


async def ask(port: int, context: ssl.SSLContext) -> str:
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return (await client.get(f"https://127.0.0.1:{port}/")).text


async def test_a_request_knows_the_key_of_its_connection(site: Site) -> None:
    one, two = site.person(), site.person()
    async with serving(site.server()) as (port, _):
        assert await ask(port, one[0]) == one[1]
        assert await ask(port, two[0]) == two[1]
    assert one[1] != two[1]
    assert one[1].startswith("sha256:")


async def test_strangers_and_the_nameless_get_no_answer(site: Site) -> None:
    stranger, _, _ = site.person(trustme.CA())
    nameless = ssl.create_default_context(cafile=str(site.folder / "issuer.pem"))
    async with serving(site.server()) as (port, _):
        for context in (stranger, nameless):
            with pytest.raises((httpx.ConnectError, httpx.ReadError)):
                await ask(port, context)


async def test_a_persons_own_certificate_may_be_its_issuer(site: Site) -> None:
    context, spki, pem = site.person(trustme.CA())
    (site.folder / "person.pem").write_bytes(pem)
    async with serving(site.server("person.pem")) as (port, _):
        assert await ask(port, context) == spki


@pytest.mark.parametrize(
    ("version", "ciphers", "served"),
    [
        (ssl.TLSVersion.TLSv1_3, "", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AES256+SHA384:!AESGCM", False),
        (ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384", False),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
    ],
)
async def test_only_what_is_safe_is_spoken(
    site: Site, version: ssl.TLSVersion, ciphers: str, served: bool
) -> None:
    context, spki, _ = site.person()
    if version is ssl.TLSVersion.TLSv1_1:
        with pytest.deprecated_call():
            context.minimum_version = context.maximum_version = version
    else:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    async with serving(site.server()) as (port, _):
        if served:
            assert await ask(port, context) == spki
        else:
            with pytest.raises(httpx.ConnectError):
                await ask(port, context)


async def test_a_connection_that_brings_no_request_is_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE", 0.05)
    context, _, _ = site.person()
    async with serving(site.server()) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: gate\r\n")  # and never the end of it
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()


async def test_one_certificate_has_its_share_of_connections(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Connections", lambda: Connections(of_certificate=3))
    (one, *_), (other, spki, _) = site.person(), site.person()
    async with serving(site.server()) as (port, _):
        opened = [
            await asyncio.open_connection("127.0.0.1", port, ssl=one) for _ in range(3)
        ]
        with capture_logs() as told:
            for _ in range(2):
                with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                    await ask(port, one)
        assert [entry["event"] for entry in told] == ["connections_refused"]
        assert await ask(port, other) == spki
        _, writer = opened.pop()
        writer.close()
        await writer.wait_closed()
        assert await ask(port, one)
        for _, writer in opened:
            writer.close()


async def test_a_fault_of_ours_is_logged_without_its_values(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    context, _, _ = site.person()

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("0401234567")

    listener = socket.create_server(("127.0.0.1", 0))
    server = GateServer(broken, site.server())
    task = asyncio.get_running_loop().create_task(server.serve([listener]))
    port = listener.getsockname()[1]
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        answer = await client.get(f"https://127.0.0.1:{port}/")
    server.stop()
    await task
    assert answer.status_code == 500
    assert "ValueError at test_server.py" in caplog.text
    assert "0401234567" not in caplog.text


async def test_a_head_that_is_too_long_is_refused(site: Site) -> None:
    context, _, _ = site.person()
    async with serving(site.server()) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"x" * 20_000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 4")
        writer.close()


def test_files_that_cannot_be_used_are_named(site: Site) -> None:
    (site.folder / "gate.key").write_text("no key")
    with pytest.raises(TlsError, match=r"gate\.key"):
        site.server()
    with pytest.raises(TlsError, match=r"nowhere\.pem"):
        site.server("nowhere.pem")
