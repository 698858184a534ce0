import asyncio
import socket

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip.flow import Flow
from agent.signalling.transport import TransportError, UdpTransport
from tests.patience import PATIENCE
from tests.ports import free_ports


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_come_with_their_flow_and_go_back(host: str) -> None:
    received: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
    ours, theirs = (Address(host, port) for port in free_ports(2))
    one = UdpTransport(Listener("udp", ours), lambda d, f: received.put_nowait((d, f)))
    two = UdpTransport(
        Listener("udp", theirs), lambda d, f: received.put_nowait((d, f))
    )
    await one.start()
    await two.start()
    try:
        one.send(b"hello", Flow("udp", ours, theirs))
        async with asyncio.timeout(PATIENCE):
            assert await received.get() == (b"hello", Flow("udp", theirs, ours))
            two.send(b"back", Flow("udp", theirs, ours))
            assert await received.get() == (b"back", Flow("udp", ours, theirs))
    finally:
        one.close()
        two.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
    one.send(b"closed: void", Flow("udp", ours, theirs))


async def test_the_largest_datagram_comes_whole() -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()
    ours, theirs = (Address("127.0.0.1", port) for port in free_ports(2))
    one = UdpTransport(Listener("udp", ours), lambda *_: None)
    two = UdpTransport(Listener("udp", theirs), lambda d, _: received.put_nowait(d))
    await one.start()
    await two.start()
    data = bytes(range(256)) * 256
    try:
        one.send(data[:65_507], Flow("udp", ours, theirs))
        async with asyncio.timeout(PATIENCE):
            assert await received.get() == data[:65_507]
    finally:
        one.close()
        two.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn


async def test_a_port_in_use_is_named() -> None:
    address = Address("127.0.0.1", free_ports(1)[0])
    one = UdpTransport(Listener("udp", address), lambda _d, _f: None)
    await one.start()
    try:
        other = UdpTransport(Listener("udp", address), lambda _d, _f: None)
        with pytest.raises(TransportError, match=str(address.port)):
            await other.start()
        other.close()
    finally:
        one.close()
        await asyncio.sleep(0)


async def test_a_refused_datagram_is_counted_and_harms_nothing() -> None:
    address = Address("127.0.0.1", free_ports(1)[0])
    transport = UdpTransport(Listener("udp", address), lambda _d, _f: None)
    transport.error_received(ConnectionRefusedError())
    assert transport.send_errors == 1


async def test_a_socket_that_another_process_has_opened_is_used_as_it_is() -> None:
    address = Address("127.0.0.1", free_ports(1)[0])
    listener = Listener("udp", address)
    first = UdpTransport(listener, lambda _d, _f: None)
    await first.start()
    assert first.socket is not None
    kept = first.socket.dup()
    first.close()
    await asyncio.sleep(0)
    received: asyncio.Queue[bytes] = asyncio.Queue()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.sendto(b"while nobody read", (address.host, address.port))
    second = UdpTransport(listener, lambda d, _f: received.put_nowait(d), kept)
    await second.start()
    try:
        async with asyncio.timeout(PATIENCE):
            assert await received.get() == b"while nobody read"
    finally:
        second.close()
        await asyncio.sleep(0)
