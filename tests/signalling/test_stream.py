import asyncio
import contextlib
import socket
import ssl
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.connection import FIRST_SECONDS, PING_SECONDS
from agent.signalling.connections import MAX_PER_STRANGER
from agent.signalling.sip.flow import Flow
from agent.signalling.stream import MAX_WAITING
from agent.signalling.transport import TransportError
from tests.lab.certificates import Authority
from tests.ports import free_ports
from tests.signalling.streams import MESSAGE, End, connect, got, until, works

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
