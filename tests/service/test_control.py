import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from agent.service import control
from agent.service.commands import (
    Commands,
    LocalRequest,
    PauseRequest,
    Reply,
    StatusRequest,
)
from agent.service.control import ControlError, ControlServer, ask
from tests.patience import PATIENCE
from tests.service.test_commands import HOST, STATUS, Desk, Switch


class Office:
    """A server, and those who ask it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.desk = Desk()
        self.server = ControlServer(
            directory, Commands(self.desk, lambda: HOST, drain=Switch())
        )
        self.log: list[dict[str, Any]] = []

    def take_log(self, logger: Any, method: str, event: Any) -> Any:
        self.log.append(event)
        raise structlog.DropEvent

    async def ask(self, request: LocalRequest) -> Reply:
        return await asyncio.to_thread(ask, self.directory, request)

    def connect(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.connect(str(self.directory / control.NAME))
        channel.settimeout(0)
        return channel

    async def say(self, data: bytes) -> Any:
        """Send octets; the reply, if one comes."""
        loop = asyncio.get_running_loop()
        with self.connect() as channel:
            await loop.sock_sendall(channel, data)
            async with asyncio.timeout(PATIENCE):
                return msgspec.json.decode(await loop.sock_recv(channel, 65536))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(tmp_path)
    structlog.configure(processors=[office.take_log], cache_logger_on_first_use=False)
    office.server.start()
    yield office
    await office.server.close()
    structlog.reset_defaults()


async def test_a_request_is_answered_and_its_sender_named(office: Office) -> None:
    request = PauseRequest(call_id="call-one", reason="card")
    assert (await office.ask(request)).calls == (STATUS,)
    assert office.desk.told == [
        ("pause", "call-one", f"uid:{os.geteuid()}", "card", None)
    ]


async def test_the_socket_is_its_owners(office: Office) -> None:
    path = office.directory / control.NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # One that a dead daemon left behind is no hindrance.
    await office.server.close()
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    office.server.start()
    assert (await office.ask(StatusRequest())).calls == (STATUS,)


async def test_others_are_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_user_of", lambda channel: os.geteuid() + 1)
    assert "may ask" in (await office.ask(StatusRequest())).error
    assert office.desk.told == []
    assert office.log[-1]["event"] == "control_refused"


@pytest.mark.parametrize(
    "data",
    [b"\n", b"{}\n", b"\xff\n", b"[" * 4000 + b"\n", b"x" * 5000, b'{"type":"x"}\n'],
)
async def test_what_is_no_request_is_said_to_be_none(
    office: Office, data: bytes
) -> None:
    reply = await office.say(data)
    assert reply["error"].startswith("This is no request")


async def test_who_says_nothing_is_not_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.05)
    loop = asyncio.get_running_loop()
    with office.connect() as silent:
        async with asyncio.timeout(PATIENCE):
            assert await loop.sock_recv(silent, 10) == b""
    assert office.log[-1]["reason"] == "TimeoutError"


async def test_too_many_are_turned_away(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MAX_CONNECTIONS", 1)
    loop = asyncio.get_running_loop()
    with office.connect(), office.connect() as second:
        async with asyncio.timeout(PATIENCE):
            assert await loop.sock_recv(second, 10) == b""


async def test_a_request_may_end_with_the_connection(office: Office) -> None:
    loop = asyncio.get_running_loop()
    with office.connect() as channel:
        await loop.sock_sendall(channel, b'{"type":"status"}')
        channel.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(PATIENCE):
            reply = msgspec.json.decode(await loop.sock_recv(channel, 65536))
    assert reply["calls"][0]["call_id"] == STATUS.call_id


def test_a_daemon_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="see whether it runs"):
        ask(tmp_path, StatusRequest())


async def test_a_daemon_that_does_not_answer(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MAX_CONNECTIONS", 0)
    with pytest.raises(ControlError):
        await office.ask(StatusRequest())


async def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ControlServer(
            tmp_path / "none", Commands(Desk(), lambda: HOST, drain=Switch())
        ).start()


async def test_a_fault_of_ours_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.desk, "status", lambda: 1 / 0)
    with pytest.raises(ControlError):
        await office.ask(StatusRequest())
    assert office.log[-1]["event"] == "task_failed"
