"""The control socket: one request and one reply, each a line of JSON, per connection.

It lies in the spool's runtime directory, which only the daemon's user may enter, and
answers that user and root only. Whoever asks is named by the user id that the kernel
tells of the other end.
"""

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent.common.errors import AgentError
from agent.common.files import socket_name
from agent.common.tasks import TaskSet
from agent.service.commands import Commands, LocalRequest, Reply

NAME: Final = "control.sock"
MAX_REQUEST: Final = 4096
"Bytes of one request: far more than any needs."
MAX_REPLY: Final = 8 * 1024 * 1024
"Bytes of one reply: the state of some ten thousand calls."
PATIENCE: Final = 5.0
"Seconds within which a request must be there, and its reply taken."
MAX_CONNECTIONS: Final = 16
"At once; who comes then is turned away."
_BACKLOG: Final = 16
_CREDENTIALS: Final = struct.Struct("=iII")
"struct ucred: pid, uid, gid (unix(7))."
_REQUESTS: Final = msgspec.json.Decoder(LocalRequest)


class ControlError(AgentError):
    """The daemon cannot be spoken to."""

    hint = "Ask as the daemon's user or root, and see whether it runs."


class ControlServer:
    """Takes requests on the socket below `directory`, one after the other."""

    def __init__(self, directory: Path, commands: Commands) -> None:
        self._path = directory / NAME
        self._commands = commands
        self._log = structlog.get_logger()
        self._listener: socket.socket | None = None
        self._tasks = TaskSet(self._task_failed)

    def start(self) -> None:
        """Listen. Raises OSError if the socket cannot be made."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_name(self._path) as name:
                listener.bind(name)
            self._path.chmod(0o600)
            listener.listen(_BACKLOG)
            listener.settimeout(0)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._tasks.spawn(self._accept(listener), name="control-accept")

    async def close(self) -> None:
        """Listen no more."""
        await self._tasks.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            channel, _ = await loop.sock_accept(listener)
            # This task is one of them.
            if len(self._tasks) > MAX_CONNECTIONS:
                channel.close()
            else:
                self._tasks.spawn(self._serve(channel), name="control-request")

    async def _serve(self, channel: socket.socket) -> None:
        with channel:
            try:
                async with asyncio.timeout(PATIENCE):
                    line = await _line(channel)
                    reply = self._answer(line, _user_of(channel))
                    data = msgspec.json.encode(reply) + b"\n"
                    await asyncio.get_running_loop().sock_sendall(channel, data)
            except (OSError, TimeoutError) as error:
                # Who asked has gone, or says nothing: there is nobody to be told.
                self._log.warning("control_broken_off", reason=type(error).__name__)

    def _answer(self, line: bytes, user: int) -> Reply:
        if user not in {0, os.geteuid()}:
            self._log.warning("control_refused", uid=user)
            return Reply(error="Only the daemon's user and root may ask.")
        try:
            request = _REQUESTS.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            return Reply(error=f"This is no request: {error}.")
        return self._commands.execute(request, by=f"uid:{user}")

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)


async def _line(channel: socket.socket) -> bytes:
    """All up to a line's end, or to the end."""
    loop = asyncio.get_running_loop()
    data = b""
    while b"\n" not in data and len(data) <= MAX_REQUEST:
        more = await loop.sock_recv(channel, MAX_REQUEST)
        if not more:
            break
        data += more
    return data.partition(b"\n")[0][:MAX_REQUEST]


def _user_of(channel: socket.socket) -> int:
    told = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(told)[1])


def ask(directory: Path, request: LocalRequest) -> Reply:
    """Ask the daemon whose runtime directory this is. Raises ControlError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(PATIENCE)
        data = b""
        try:
            with socket_name(directory / NAME) as name:
                channel.connect(name)
            channel.sendall(msgspec.json.encode(request) + b"\n")
            while len(data) <= MAX_REPLY and (more := channel.recv(65536)):
                data += more
        except OSError as error:
            reason = error.strerror or "it does not answer in time"
            raise ControlError(f"The daemon cannot be asked: {reason}.") from error
    try:
        return msgspec.json.decode(data, type=Reply)
    except msgspec.DecodeError as error:
        raise ControlError("The daemon did not answer.") from error
