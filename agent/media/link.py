"""One worker process as the main process sees it: spawned, spoken to, watched."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.common.files import socket_name
from agent.common.tasks import TaskSet
from agent.media import control
from agent.media.errors import ControlError, MediaError
from agent.model.call import EndCause

START_SECONDS: Final = 15.0
"What a worker may take to start on a busy machine."
RETIRE_SECONDS: Final = 10.0
"What closing all journals may take."
MAX_QUEUED: Final = 64 * 1024 * 1024
"Bytes that may wait for a worker; one that does not read them is stuck."
_READS: Final = 64
"Reports taken before others in the main process have their turn."
_BACKLOG: Final = 4


class WorkerLink:
    """A worker process and the control channel to it.

    `on_report` takes what it says; `on_lost` is called once when it has died, or
    broken the protocol and been killed, and not after `retire`.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_report: Callable[[control.Report], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._path = path
        self._on_report = on_report
        self._on_lost = on_lost
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._queued = 0
        self._waiting = False
        "Whether the loop tells when the channel takes more."
        self._welcome: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._retiring = False
        self._tasks = TaskSet(self._task_failed)

    @property
    def pid(self) -> int | None:
        """The process's id, once there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self, hello: control.Hello) -> None:
        """Spawn, connect, shake hands. Raises MediaError if that fails."""
        loop = asyncio.get_running_loop()
        self._welcome = loop.create_future()
        try:
            with _listen(self._path) as listener:
                fd = listener.fileno()
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "agent.media.worker",
                    str(fd),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(fd,),
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                )
            self._channel = _connect(self._path)
        except OSError as error:
            await self._end_process()
            raise MediaError(f"A media worker cannot be started: {error}.") from error
        loop.add_reader(self._channel.fileno(), self._readable)
        self._tasks.spawn(self._watch(self._process), name="media-worker-watch")
        self.send(hello)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._welcome
        except TimeoutError:
            await self.kill()
            raise MediaError("A media worker does not answer.") from None
        except BaseException:
            # Also when the start itself is cancelled: nobody else knows of it.
            await self.kill()
            raise
        finally:
            self._welcome = None

    def send(self, message: control.Command, descriptors: tuple[int, ...] = ()) -> None:
        """Queue a message, to be sent before the loop turns again, or at `flush`.

        What is sent to a dead worker is lost.
        """
        if self._channel is None:
            return
        data = control.encode(message)
        self._queue.append((data, descriptors))
        self._queued += len(data)
        if self._queued > MAX_QUEUED:
            self._break_off()
        elif not self._waiting and len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    async def retire(self, cause: EndCause) -> None:
        """Let it close its journals and end; kill it if it does not."""
        self._retiring = True
        self.send(control.Retire(cause=cause))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._ended.wait()
        await self._end_process()
        await self._tasks.close()
        self._path.unlink(missing_ok=True)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        self._retiring = True
        await self._end_process()
        await self._tasks.close()

    # -- the channel ----------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(_READS):
            channel = self._channel
            if channel is None:
                return
            try:
                data, _ = control.receive(channel)
                if not data:
                    self._break_off()
                    return
                report = control.decode_report(data)
            except BlockingIOError:
                return
            except (OSError, ControlError):
                self._break_off()
                return
            self._take(report)

    def _take(self, report: control.Report) -> None:
        if not isinstance(report, control.Welcome):
            self._on_report(report)
        elif self._welcome is not None and not self._welcome.done():
            if report.version == control.VERSION:
                self._welcome.set_result(None)
            else:
                self._welcome.set_exception(
                    MediaError(f"A media worker speaks version {report.version}.")
                )

    def flush(self) -> None:
        """Send what is queued, in as few records as hold it."""
        channel = self._channel
        if channel is None:
            return
        while self._queue:
            count, record, descriptors = control.first_record(self._queue)
            try:
                control.send(channel, record, descriptors)
            except BlockingIOError:
                if not self._waiting:
                    self._waiting = True
                    asyncio.get_running_loop().add_writer(channel.fileno(), self.flush)
                return
            except OSError:
                self._break_off()
                return
            for _ in range(count):
                self._queued -= len(self._queue.popleft()[0])
        if self._waiting:
            self._waiting = False
            asyncio.get_running_loop().remove_writer(channel.fileno())

    def _break_off(self) -> None:
        """Close the channel; a process that lives on without it is killed."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(channel.fileno())
        loop.remove_writer(channel.fileno())
        channel.close()
        self._queue.clear()
        self._queued = 0
        self._waiting = False
        if not self._retiring:
            self._kill_process()

    # -- the process ----------------------------------------------------------

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        # What it said last is still in the channel.
        while self._channel is not None:
            self._readable()
        self._ended.set()
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_exception(MediaError("A media worker died at its start."))
        elif not self._retiring:
            self._on_lost()

    async def _end_process(self) -> None:
        self._break_off()
        if self._process is not None:
            self._kill_process()
            await self._process.wait()

    def _kill_process(self) -> None:
        if self._process is not None and self._process.returncode is None:
            # Not Process.kill: it polls, and so may reap the child before asyncio's
            # watcher does.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def _task_failed(self, name: str, error: BaseException) -> None:
        raise MediaError(f"{name} failed.") from error


async def retire_orphans(directory: Path) -> int:
    """End the workers a dead main process left behind; returns how many lived.

    Their journals are closed when this returns.
    """
    found = 0
    loop = asyncio.get_running_loop()
    for path in _control_sockets(directory):
        try:
            channel = _connect(path)
        except OSError:
            path.unlink(missing_ok=True)
            continue
        with channel, contextlib.suppress(OSError, TimeoutError):
            found += 1
            channel.send(control.encode(control.Retire(cause=EndCause.AGENT_DIED)))
            async with asyncio.timeout(RETIRE_SECONDS):
                while await loop.sock_recv(channel, control.MAX_MESSAGE):
                    pass
        path.unlink(missing_ok=True)
    return found


def _control_sockets(directory: Path) -> list[Path]:
    return sorted(directory.glob("media-*.sock"))


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with socket_name(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _connect(path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        channel.settimeout(0)
        with socket_name(path) as name:
            channel.connect(name)
    except BaseException:
        channel.close()
        raise
    return channel
