"""How a session recording client reaches its server: UDP, or a connection to it."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from agent.model.media import Address
from tests.lab.siprec.messages import Message, parsed

Heard = Callable[[Message], None]


class Link(Protocol):
    """The way of messages, both ways."""

    def send(self, message: bytes) -> None: ...

    async def close(self) -> None: ...


async def opened(
    transport: str, ours: Address, remote: int, heard: Heard, tls: ssl.SSLContext | None
) -> Link:
    """One from an address to a port of 127.0.0.1; `heard` is told of what comes."""
    if transport == "udp":
        return await _Datagrams.opened(ours, remote, heard)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((ours.host, ours.port))
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", remote))
    name = "127.0.0.1" if tls is not None else None
    return _Connection(
        *await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name), heard
    )


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def opened(cls, ours: Address, remote: int, heard: Heard) -> "_Datagrams":
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(heard),
            local_addr=(ours.host, ours.port),
            remote_addr=("127.0.0.1", remote),
        )
        protocol._transport = transport
        return protocol

    def datagram_received(self, data: bytes, _: object) -> None:
        self._heard(parsed(data))

    def error_received(self, _: Exception) -> None:
        # Nobody there for now: what matters is sent again.
        return

    def send(self, message: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(message)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Connection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard
    ) -> None:
        self._writer = writer
        self._task = asyncio.get_running_loop().create_task(_read(reader, heard))

    def send(self, message: bytes) -> None:
        self._writer.write(message)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        self._writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()


async def _read(reader: asyncio.StreamReader, heard: Heard) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?im)^Content-Length:\s*(\d+)", head)
            body = await reader.readexactly(int(found[1]) if found else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        if head.strip():  # not a keep-alive
            heard(parsed(head.lstrip() + body))
