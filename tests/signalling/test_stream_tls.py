"""Connections over TLS: who is believed, and who is refused."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.sip.limits import PeerLimits
from tests.lab.certificates import Authority, Certificate, outdated
from tests.patience import PATIENCE
from tests.signalling.streams import MESSAGE, End, connect, contexts, got, until, works


async def test_both_ends_know_each_other_by_name(
    opened: Any, authority: Authority
) -> None:
    one = await opened(
        contexts(authority.issue("a.example", "127.0.0.1"), authority.pem)
    )
    two = await opened(
        contexts(authority.issue("b.example", "127.0.0.1"), authority.pem, "required")
    )
    one.streams.send(MESSAGE, one.to("tls", two.tls.port, "b.example"))
    _, flow = await got(two.messages)
    assert flow.certificate == ("a.example", "127.0.0.1")
    two.streams.send(MESSAGE, flow)
    _, back = await got(one.messages)
    assert back.certificate == ("b.example", "127.0.0.1")
    # Another name at the same address is another connection.
    one.streams.send(MESSAGE, one.to("tls", two.tls.port))
    await got(two.messages)
    assert one.stats.connected == 2


async def test_a_peer_known_by_its_certificate_has_its_share(
    opened: Any, authority: Authority
) -> None:
    own = authority.issue("127.0.0.1")
    end = await opened(contexts(own, authority.pem, "required"))
    end.streams._limits_of = lambda flow: PeerLimits(
        "pbx" if flow.certificate else "", messages=0.0, connections=1
    )
    client = authority.issue("pbx.example").client()
    await connect(end.tls, ssl=client, server_hostname="127.0.0.1")
    await until(lambda: end.stats.open == 1)
    await connect(end.tls, ssl=client, server_hostname="127.0.0.1")
    await end.until("too many connections")
    assert end.stats.open == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_are_spoken(
    opened: Any, authority: Authority, version: ssl.TLSVersion
) -> None:
    own = authority.issue("127.0.0.1")
    end = await opened(contexts(own, authority.pem))
    client = own.client()
    client.maximum_version = version
    _, writer = await connect(end.tls, ssl=client)
    assert writer.get_extra_info("ssl_object").version() == version.name.replace(
        "_", "."
    )
    writer.close()
    await writer.wait_closed()


def cbc_client(own: Certificate) -> ssl.SSLContext:
    context = own.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256")
    return context


REFUSED_CLIENTS = {
    "tls older than 1.2": lambda ours, _: outdated(ours.issue("127.0.0.1").client()),
    "no common cipher suite": lambda ours, _: cbc_client(ours.issue("127.0.0.1")),
    "the peer does not trust our certificate": lambda _, other: other.issue(
        "127.0.0.1"
    ).client(),
    "certificate not trusted: unable to get local issuer certificate": (
        lambda ours, other: other.issue("127.0.0.1").client(ca=ours.pem)
    ),
    "certificate expired": lambda ours, _: ours.issue(
        "127.0.0.2", expired=True
    ).client(),
    "no client certificate": lambda ours, _: ssl.create_default_context(
        cafile=str(ours.pem)
    ),
}


def shake_hands(address: Address, context: ssl.SSLContext) -> None:
    """What a blocking client does; asyncio's sends no alerts."""
    with (
        socket.create_connection(
            (address.host, address.port), timeout=PATIENCE
        ) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as secure,
    ):
        # In TLS 1.3 a client learns of its refusal with the first octets.
        secure.sendall(MESSAGE)
        if not secure.recv(1):
            raise ConnectionResetError


@pytest.mark.parametrize("reason", REFUSED_CLIENTS)
async def test_clients_that_are_refused(
    opened: Any, authority: Authority, tmp_path: Path, reason: str
) -> None:
    own = authority.issue("pbx.example", "127.0.0.1")
    end = await opened(contexts(own, authority.pem, "required"))
    client = REFUSED_CLIENTS[reason](authority, Authority(tmp_path / "theirs"))
    bystander = await connect(end.tls, ssl=own.client())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(shake_hands, end.tls, client)
    await end.until(reason)
    assert {entry["event"] for entry in end.log} == {"tls_refused"}
    await works(end, ssl=own.client())
    bystander[1].write(MESSAGE)
    assert (await got(end.messages))[0] == MESSAGE
    bystander[1].close()
    await bystander[1].wait_closed()
    assert end.stats.accepted == 2


async def test_plain_text_on_the_tls_port(opened: Any, authority: Authority) -> None:
    own = authority.issue("127.0.0.1")
    end = await opened(contexts(own, authority.pem))
    reader, writer = await connect(end.tls)
    writer.write(MESSAGE)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(100)
    await end.until("plain text on the tls port")
    writer.close()
    assert end.messages.empty()
    assert len(end.streams.table) == 0
    await works(end, ssl=own.client())


REFUSED_SERVERS = {
    "the certificate has another name": lambda ours, _: ours.issue(
        "other.example"
    ).server(),
    "certificate not trusted: unable to get local issuer certificate": (
        lambda _, other: other.issue("pbx.example").server()
    ),
    "certificate expired": lambda ours, _: ours.issue(
        "pbx.example", expired=True
    ).server(),
    # It closes without an alert, as asyncio does.
    "the peer broke off the handshake": lambda ours, _: outdated(
        ours.issue("pbx.example").server()
    ),
}


@pytest.mark.parametrize("reason", REFUSED_SERVERS)
async def test_servers_that_are_refused(
    opened: Any, authority: Authority, tmp_path: Path, reason: str
) -> None:
    context = REFUSED_SERVERS[reason](authority, Authority(tmp_path / "theirs"))
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    end = await opened(contexts(authority.issue("a.example"), authority.pem))
    flow = end.to("tls", port, "pbx.example")
    end.streams.send(MESSAGE, flow)
    assert await got(end.failed) == flow
    assert end.log[-1]["event"] == "tls_refused"
    assert end.log[-1]["reason"] == reason
    assert end.log[-1]["outgoing"] is True
    assert not heard
    server.close()
    await server.wait_closed()


async def test_tls_to_a_plain_port_fails(opened: Any, authority: Authority) -> None:
    plain = await opened()
    end = await opened(contexts(authority.issue("a.example"), authority.pem))
    flow = end.to("tls", plain.tcp.port)
    end.streams.send(MESSAGE, flow)
    assert await got(end.failed) == flow
    await plain.until("tls on a plain port")


async def test_tls_without_configuration_fails(tcp: End) -> None:
    flow = tcp.to("tls", 5061)
    tcp.streams.send(MESSAGE, flow)
    assert await got(tcp.failed) == flow
    assert "not configured" in tcp.log[-1]["reason"]


async def test_a_new_certificate_is_shown_without_a_restart(
    opened: Any, authority: Authority
) -> None:
    own = authority.issue("127.0.0.1")
    end = await opened(contexts(own, authority.pem))
    before = await connect(end.tls, ssl=own.client())
    old = before[1].get_extra_info("ssl_object").getpeercert()["serialNumber"]
    own = authority.issue("127.0.0.1")
    end.streams.tls.load()
    after = await connect(end.tls, ssl=own.client())
    new = after[1].get_extra_info("ssl_object").getpeercert()["serialNumber"]
    assert new != old
    before[1].write(MESSAGE)  # the connection that was up goes on
    await got(end.messages)
    for _, writer in (before, after):
        writer.close()
        await writer.wait_closed()
