import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath

import pytest

from agent.service.metrics import server as module
from agent.service.metrics.config import LoopbackAddress, SocketPath
from agent.service.metrics.exchange import Answer, Question
from agent.service.metrics.server import (
    MAX_CONNECTIONS,
    MetricsListenError,
    MetricsServer,
)
from tests.ports import free_ports

ASKED = b"GET /page HTTP/1.1\r\nHost: localhost\r\nAccept: a/b\r\n\r\n"


async def page(question: Question) -> Answer:
    return Answer(question.accept.encode() * 1000)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    [port] = free_ports(1)
    server = MetricsServer(LoopbackAddress("127.0.0.1", port), {"/page": page})
    await server.start()
    yield port
    await server.close()


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    await leave(writer)
    return answer


async def test_a_page_is_told(port: int) -> None:
    for _ in range(MAX_CONNECTIONS + 1):
        answer = await ask(port, ASKED)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n" + b"a/b" * 1000)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (ASKED.replace(b"/page", b"/other"), HTTPStatus.NOT_FOUND),
        (ASKED.replace(b"GET", b"POST"), HTTPStatus.METHOD_NOT_ALLOWED),
        (b"nonsense\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (ASKED[:-2] + b"X: " + b"y" * 20_000, HTTPStatus(431)),
    ],
    ids=["page", "method", "no-http", "too-long"],
)
async def test_what_it_does_not_serve(
    port: int, request_: bytes, status: HTTPStatus
) -> None:
    assert (await ask(port, request_)).startswith(b"HTTP/1.1 %d " % status)


async def test_a_slow_one_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASKED[:10])
    assert await reader.read() == b""
    await leave(writer)
    assert (await ask(port, ASKED)).startswith(b"HTTP/1.1 200 ")


async def test_there_is_room_for_a_few(port: int) -> None:
    waiting = [
        await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    await leave(writer)
    for _, one in waiting:
        one.write(ASKED)
    for reader, one in waiting:
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        await leave(one)


async def test_a_unix_socket_is_for_its_group(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # by a process that was killed
    server = MetricsServer(SocketPath(PurePosixPath(path)), {"/page": page})
    await server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(ASKED)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    await leave(writer)
    await server.close()
    assert not path.exists()
    await server.close()


async def test_where_it_cannot_listen_is_said(port: int, tmp_path: Path) -> None:
    a_file = tmp_path / "recordings"
    a_file.touch()
    for address in (
        LoopbackAddress("127.0.0.1", port),
        SocketPath(PurePosixPath(tmp_path / "missing" / "metrics.sock")),
        SocketPath(PurePosixPath(a_file)),
    ):
        with pytest.raises(MetricsListenError, match=r"metrics\.listen"):
            await MetricsServer(address, {}).start()
    assert a_file.exists()


async def test_its_end_ends_what_goes_on() -> None:
    [port] = free_ports(1)
    server = MetricsServer(LoopbackAddress("127.0.0.1", port), {"/page": page})
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASKED[:5])
    await asyncio.sleep(0)
    while not server._connections:
        await asyncio.sleep(0)
    await server.close()
    assert await reader.read() == b""
    await leave(writer)
