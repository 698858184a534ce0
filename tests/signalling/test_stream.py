import asyncio
import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling import stream as module
from agent.signalling.config import Listener
from agent.signalling.connection import FIRST_SECONDS, PING_SECONDS
from agent.signalling.connections import MAX_PER_STRANGER
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import PeerLimits
from agent.signalling.stream import MAX_UNSENT, MAX_WAITING
from agent.signalling.transport import TransportError
from tests.lab.certificates import Authority, Certificate, outdated
from tests.ports import free_ports
from tests.signalling.streams import MESSAGE, End, connect, contexts, got, until, works

# -- connections and messages ----------------------------------------------------


async def test_messages_and_keep_alives(tcp: End) -> None:
    reader, writer = await connect(tcp.tcp)
    writer.write(MESSAGE[:5])
    await writer.drain()
    writer.write(MESSAGE[5:] + b"\r\n\r\n" + MESSAGE)
    data, flow = await got(tcp.messages)
    assert data == MESSAGE
    assert flow.inbound
    assert flow.remote.port == writer.get_extra_info("sockname")[1]
    assert (await got(tcp.messages))[0] == MESSAGE
    assert await reader.readexactly(2) == b"\r\n"
    assert tcp.stats.pings == 1
    tcp.streams.send(MESSAGE, flow)
    assert await reader.readexactly(len(MESSAGE)) == MESSAGE
    writer.close()
    assert await got(tcp.lost) == flow
    assert tcp.stats.closed == {"closed by the peer": 1}


async def test_one_connection_carries_all_that_goes_to_one_place(opened: Any) -> None:
    one, two = await opened(), await opened()
    flow = one.to("tcp", two.tcp.port)
    for _ in range(3):
        one.streams.send(MESSAGE, flow)
    for _ in range(3):
        data, back = await got(two.messages)
        assert data == MESSAGE
    one.streams.send(MESSAGE, flow)
    await got(two.messages)
    two.streams.send(MESSAGE, back)
    _, arrived = await got(one.messages)
    assert arrived == flow  # an answer, over the connection the request went by
    assert (one.stats.connected, two.stats.accepted) == (1, 1)


async def test_nobody_there_fails_every_message_that_waited(tcp: End) -> None:
    flow = tcp.to("tcp", free_ports(1)[0])
    for _ in range(MAX_WAITING + 1):
        tcp.streams.send(MESSAGE, flow)
    assert await got(tcp.failed) == flow
    assert tcp.failed.empty()
    assert tcp.stats.unsent == MAX_WAITING + 1
    assert tcp.stats.connect_failures == 1
    assert len(tcp.streams.table) == 0
    assert tcp.log[-1]["event"] == "connect_failed"


async def test_an_answer_whose_connection_is_gone_opens_another(tcp: End) -> None:
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait(await reader.readexactly(len(MESSAGE)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, writer = await connect(tcp.tcp)
    writer.write(MESSAGE)
    _, flow = await got(tcp.messages)
    writer.close()
    await got(tcp.lost)
    tcp.streams.send(MESSAGE, flow)  # nobody knows where to
    assert await got(tcp.failed) == flow
    back = Flow(
        "tcp",
        flow.local,
        flow.remote,
        inbound=True,
        fallback=Address("127.0.0.1", port),
    )
    tcp.streams.send(MESSAGE, back)
    assert await got(came) == MESSAGE
    server.close()
    await server.wait_closed()


async def test_a_peer_that_does_not_read_is_given_up(tcp: End) -> None:
    _, writer = await connect(tcp.tcp)
    writer.write(MESSAGE)
    _, flow = await got(tcp.messages)
    lost = False
    for _ in range(100):
        tcp.streams.send(b"x" * (MAX_UNSENT // 4), flow)
        if tcp.stats.closed:
            lost = True
            break
    assert lost
    assert tcp.stats.closed == {"the peer does not read": 1}
    assert await got(tcp.lost) == flow
    writer.transport.abort()


async def test_a_peer_that_pings_and_reads_no_pong_is_given_up(
    tcp: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the kernel's buffers hold already is more than a test would send.
    monkeypatch.setattr(module, "MAX_UNSENT", -1)
    _, writer = await connect(tcp.tcp)
    writer.write(b"\r\n\r\n")
    await got(tcp.lost)
    assert tcp.stats.closed == {"the peer does not read": 1}


# -- what is turned away ----------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "tls on a plain port"),
        (b"\x00\x01\x02", "not sip"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "no content-length"),
    ],
)
async def test_what_is_not_sip_is_closed_and_logged(
    tcp: End, data: bytes, reason: str
) -> None:
    reader, writer = await connect(tcp.tcp)
    writer.write(data)
    assert await reader.read() == b""
    await tcp.until(reason)
    entry = tcp.log[-1]
    assert entry["event"] == "connection_refused"
    assert set(entry) == {"event", "remote", "reason", "log_level"}
    if b"GET" in data:
        head, _ = await got(tcp.messages)  # the core may answer before the end
        assert head == data
    assert tcp.stats.closed == {reason: 1}
    writer.close()
    await works(tcp)


async def test_a_tls_client_on_the_plain_port(tcp: End, authority: Authority) -> None:
    client = authority.issue("phone.example").client()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(tcp.tcp, ssl=client, server_hostname="127.0.0.1")
    await tcp.until("tls on a plain port")
    await works(tcp)


async def test_who_says_too_much_is_not_read_for_a_while(tcp: End) -> None:
    tcp.pause = 0.01
    _, writer = await connect(tcp.tcp)
    for _ in range(3):
        writer.write(MESSAGE)
        await got(tcp.messages)
    [stream] = tcp.streams._streams.values()
    await until(lambda: not stream.transport.is_reading())
    await until(stream.transport.is_reading)
    tcp.pause = 3600.0
    writer.write(MESSAGE)
    await got(tcp.messages)
    await until(lambda: not stream.transport.is_reading())
    tcp.streams.drop(stream, "test")
    stream.resume()  # it has gone meanwhile


@pytest.mark.parametrize("said", [MESSAGE, b"\r\n\r\n"])
async def test_who_brings_more_than_it_may_is_closed(tcp: End, said: bytes) -> None:
    tcp.allowance = 10
    reader, writer = await connect(tcp.tcp)
    writer.write(said * 1000)
    await tcp.until("too many messages")
    assert tcp.messages.qsize() <= 10
    assert tcp.stats.pings <= 10
    # Closed, or reset with what was not read.
    with contextlib.suppress(ConnectionResetError):
        await reader.read()
    tcp.allowance = None
    while not tcp.messages.empty():
        tcp.messages.get_nowait()
    await works(tcp)


async def test_a_stranger_does_not_connect_faster_than_it_may(opened: Any) -> None:
    end = await opened(peer="")
    end.allowance = 1
    await works(end)
    assert end.read[0] == 1  # the connection itself
    end.allowance = 0
    reader, _ = await connect(end.tcp)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    await end.until("too many connections in a short time")
    assert end.stats.refused == {"rate": 1}
    end.allowance = None
    await works(end)


async def test_slow_and_silent_connections_are_ended_in_their_time(tcp: End) -> None:
    _, slow = await connect(tcp.tcp)
    slow.write(MESSAGE[:5])
    await connect(tcp.tcp)
    await until(
        lambda: (
            tcp.stats.open == 2
            and any(
                stream.connection is not None and stream.connection._begun is not None
                for stream in tcp.streams._streams.values()
            )
        )
    )
    now = tcp.streams.now
    assert tcp.streams.get_timer() is not None
    tcp.streams.handle_timer(now + 1)
    assert not tcp.stats.closed
    tcp.streams.handle_timer(now + 20)
    assert tcp.stats.closed == {"message too slow": 1}
    tcp.streams.handle_timer(now + FIRST_SECONDS + 1)
    assert tcp.stats.closed == {"message too slow": 1, "idle": 1}
    await got(tcp.lost)


async def test_a_connection_of_ours_is_pinged(opened: Any) -> None:
    one, two = await opened(), await opened()
    one.streams.send(MESSAGE, one.to("tcp", two.tcp.port))
    await got(two.messages)
    one.streams.handle_timer(one.streams.now + PING_SECONDS + 1)
    await until(lambda: two.stats.pings == 1)
    one.streams.send(MESSAGE, one.to("tcp", two.tcp.port))
    await got(two.messages)
    assert one.stats.connected == 1


async def test_a_stranger_has_few_places_and_the_log_few_lines(opened: Any) -> None:
    end = await opened(peer="")
    for _ in range(MAX_PER_STRANGER + 40):
        reader, _ = await connect(end.tcp)
    assert await reader.read() == b""
    assert end.stats.refused == {"stranger": 40}
    assert 20 <= len(end.log) <= 25


async def test_out_of_descriptors_is_survived(
    tcp: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    real, calls = loop.sock_accept, []

    async def broken(sock: socket.socket) -> Any:
        calls.append(sock)
        if len(calls) == 1:
            raise OSError("Too many open files")
        return await real(sock)

    monkeypatch.setattr(loop, "sock_accept", broken)
    await connect(tcp.tcp)  # ends the accept that was under way
    await until(lambda: any(e["event"] == "accept_failed" for e in tcp.log))
    await works(tcp)


async def test_a_port_in_use_is_named() -> None:
    one, two = End(), End()
    two.streams._listeners = one.streams._listeners
    await one.streams.start()
    with pytest.raises(TransportError, match=str(one.tcp.port)):
        await two.streams.start()
    one.streams.close()
    await asyncio.sleep(0)


async def test_a_tls_listener_needs_a_certificate() -> None:
    end = End()
    end.streams._listeners = [Listener("tls", end.tls)]
    with pytest.raises(TransportError, match="without a certificate"):
        await end.streams.start()


# -- TLS ----------------------------------------------------------------------------


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
        socket.create_connection((address.host, address.port), timeout=10) as plain,
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
