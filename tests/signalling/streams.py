"""Ends of streams for tests, with real sockets and certificates."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener, TlsConfig
from agent.signalling.connections import ConnectionTable
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import PeerLimits
from agent.signalling.stream import StreamTransport
from agent.signalling.tls import TlsContexts
from tests.lab.certificates import Certificate
from tests.patience import PATIENCE
from tests.ports import free_ports

MESSAGE = b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def got(queue: "asyncio.Queue[Any]") -> Any:
    return await asyncio.wait_for(queue.get(), PATIENCE)


class End:
    """A stream transport with two listeners, and what it said."""

    def __init__(self, tls: TlsContexts | None = None, *, peer: str = "pbx") -> None:
        tcp, secure = free_ports(2)
        self.tcp, self.tls = Address("127.0.0.1", tcp), Address("127.0.0.1", secure)
        self.pause = 0.0
        self.allowance: int | None = None
        self.read: list[int] = []
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.failed: asyncio.Queue[Flow] = asyncio.Queue()
        self.lost: asyncio.Queue[Flow] = asyncio.Queue()
        listeners = [Listener("tcp", self.tcp)]
        listeners += [Listener("tls", self.tls)] if tls else []
        self.streams = StreamTransport(
            listeners,
            table=ConnectionTable(max_connections=100, idle_seconds=600.0),
            tls=tls,
            limits_of=lambda _: PeerLimits(peer, messages=0.0, connections=10),
            allowance=lambda _: self.allowance,
            on_message=lambda data, flow: self.messages.put_nowait((data, flow)),
            on_read=self._read,
            on_failed=self.failed.put_nowait,
            on_lost=self.lost.put_nowait,
        )

    def _read(self, _: Flow, count: int) -> float:
        self.read.append(count)
        return self.pause if count else 0.0

    @property
    def stats(self) -> Any:
        return self.streams.table.stats

    def to(self, transport: str, port: int, domain: str = "") -> Flow:
        local = self.tcp if transport == "tcp" else self.tls
        return Flow(transport, local, Address("127.0.0.1", port), domain)

    async def until(self, reason: str) -> None:
        """Wait for the log to give that reason."""
        try:
            await until(lambda: any(e.get("reason") == reason for e in self.log))
        except TimeoutError:
            pytest.fail(f"only {self.log}")

    log: list[Any]


def contexts(own: Certificate, ca: Path, verify_client: Any = "off") -> TlsContexts:
    return TlsContexts(
        TlsConfig(
            certificate=str(own.certificate),
            key=str(own.key),
            ca=str(ca),
            verify_client=verify_client,
        ),
        ca.parent,
    )


WRITERS: list[asyncio.StreamWriter] = []
"Of the test's own connections, to be closed after it."


async def connect(address: Address, **tls: Any) -> Any:
    pair = await asyncio.open_connection(address.host, address.port, **tls)
    WRITERS.append(pair[1])
    return pair


async def works(end: End, **tls: Any) -> None:
    """A message still gets through: what was refused hurt nobody else."""
    _, writer = await connect(end.tls if tls else end.tcp, **tls)
    writer.write(MESSAGE)
    assert (await got(end.messages))[0] == MESSAGE
    writer.close()
    await writer.wait_closed()
