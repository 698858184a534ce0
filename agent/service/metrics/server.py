"""Answers who asks on this host; what is asked of it costs no call anything.

Connections, bytes and seconds of each are bounded; beyond that they are closed.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.service.metrics.config import LoopbackAddress, SocketPath
from agent.service.metrics.exchange import Answer, Exchange, Question, plain

PATIENCE: Final = 5.0
"Seconds for a question to come and its answer to be taken."
MAX_CONNECTIONS: Final = 8
"At once: one monitoring system, its second, and somebody who looks."
_READ: Final = 4096

Page = Callable[[Question], Awaitable[Answer]]


class MetricsListenError(AgentError):
    """Nobody can ask."""

    hint = "Choose another metrics.listen, or end what listens there."


class MetricsServer:
    """Serves `pages`, by path."""

    def __init__(
        self, address: LoopbackAddress | SocketPath, pages: Mapping[str, Page]
    ) -> None:
        self._address = address
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger()

    async def start(self) -> None:
        """Listen. Raises MetricsListenError."""
        address = self._address
        try:
            if isinstance(address, SocketPath):
                self._server = await asyncio.start_unix_server(
                    self._serve, sock=_bind(Path(address.path)), limit=_READ
                )
            else:
                self._server = await asyncio.start_server(
                    self._serve, address.host, address.port, limit=_READ
                )
        except OSError as error:
            raise MetricsListenError(
                f"The metrics' address cannot be listened at: {error}."
            ) from error

    async def close(self) -> None:
        """Listen no more, and end what goes on."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if isinstance(self._address, SocketPath):
            _unlink(self._address)
        self._server = None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._exchange(reader, writer)
        except (OSError, TimeoutError):
            # Who asked has gone, or is too slow: there is nobody to be told.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        exchange = Exchange()
        found: Question | Answer | None = None
        while found is None:
            found = exchange.receive(await reader.read(_READ))
        answer = await self._answer(found) if isinstance(found, Question) else found
        writer.write(exchange.answer(answer))
        await writer.drain()
        writer.write_eof()
        # Closed with something unread, the answer might never arrive.
        with contextlib.suppress(ConnectionError):
            while await reader.read(_READ):
                pass

    async def _answer(self, question: Question) -> Answer:
        page = self._pages.get(question.path)
        return plain(HTTPStatus.NOT_FOUND) if page is None else await page(question)


def _unlink(address: SocketPath) -> None:
    Path(address.path).unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    """A socket that its group may ask, too: a monitoring system's user is a member."""
    if path.is_socket():  # what a killed process left; nothing else is removed
        path.unlink()
    channel = socket.socket(socket.AF_UNIX)
    try:
        channel.bind(str(path))
        path.chmod(0o660)
    except BaseException:
        channel.close()
        raise
    return channel
