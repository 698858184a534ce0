"""One worker process as the main process sees it: spawned, spoken to, watched."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.media import control
from agent.media.channel import Channel
from agent.media.control_socket import connect, listen
from agent.media.errors import MediaError
from agent.model.call import EndCause

START_SECONDS: Final = 15.0
"What a worker may take to start on a busy machine."
RETIRE_SECONDS: Final = 10.0
"What closing all journals may take."


class WorkerLink:
    """A worker process and the control channel to it.

    Whoever has a use for it calls `serve`; until then it stands by.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._on_report: Callable[[control.Report], None] = _ignore
        self._on_lost: Callable[[], None] = _nothing
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._watched = -1
        "A descriptor of the process, readable once it has died."
        self._welcome: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._retiring = False
        self.pid: int | None = None
        "Of the process, once there is one."

    @property
    def ended(self) -> bool:
        """Whether the process has died."""
        return self._ended.is_set()

    async def start(self, hello: control.Hello) -> None:
        """Spawn, connect, shake hands. Raises MediaError if that fails."""
        try:
            with listen(self._path) as listener:
                fd = listener.fileno()
                # Not asyncio's: a thread of its would tell of the death, and later.
                self._process = subprocess.Popen(  # noqa: S603, ASYNC220
                    [sys.executable, "-m", "agent.media.worker", str(fd)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(fd,),
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                )
            self._watch(self._process.pid)
        except OSError as error:
            raise MediaError(f"A media worker cannot be started: {error}.") from error
        await self._greet(hello)

    async def _greet(self, hello: control.Hello) -> None:
        self._welcome = asyncio.get_running_loop().create_future()
        try:
            self._channel = Channel(
                connect(self._path),
                on_report=self._take,
                on_closed=self._kill_process,
            )
            self._channel.send(hello)
            async with asyncio.timeout(START_SECONDS):
                await self._welcome
        except TimeoutError:
            await self.kill()
            raise MediaError("A media worker does not answer.") from None
        except OSError as error:
            await self.kill()
            raise MediaError(f"A media worker cannot be reached: {error}.") from error
        except BaseException:
            # Also when the start itself is cancelled: nobody else knows of it.
            await self.kill()
            raise
        finally:
            self._welcome = None

    def serve(
        self,
        on_report: Callable[[control.Report], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Tell what the worker says, and, once, that it has died.

        `on_lost` is called too when it has broken the protocol and been killed, and
        not after `retire`. Raises MediaError if it is dead already.
        """
        if self.ended:
            raise MediaError("A media worker died while it stood by.")
        self._on_report, self._on_lost = on_report, on_lost

    def send(self, message: control.Command, descriptors: tuple[int, ...] = ()) -> None:
        """Queue a message, to be sent before the loop turns again, or at `flush`.

        What is sent to a dead worker is lost.
        """
        if self._channel is not None:
            self._channel.send(message, descriptors)

    def flush(self) -> None:
        """Send what is queued."""
        if self._channel is not None:
            self._channel.flush()

    async def retire(self, cause: EndCause) -> None:
        """Let it close its journals and end; kill it if it does not."""
        self._retiring = True
        self.send(control.Retire(cause=cause))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._ended.wait()
        await self.kill()
        self._path.unlink(missing_ok=True)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        self._retiring = True
        if self._channel is not None:
            self._channel.close()
        self._kill_process()
        if self._watched >= 0:
            await self._ended.wait()

    def _take(self, report: control.Report, descriptors: list[int]) -> None:
        for fd in descriptors:
            os.close(fd)
        if not isinstance(report, control.Welcome):
            self._on_report(report)
        elif self._welcome is not None and not self._welcome.done():
            if report.version == control.VERSION:
                self._welcome.set_result(None)
            else:
                self._welcome.set_exception(
                    MediaError(f"A media worker speaks version {report.version}.")
                )

    # -- the process ----------------------------------------------------------

    def _watch(self, pid: int) -> None:
        """Be told at once when it dies. Raises OSError if it is dead already."""
        self.pid = pid
        self._watched = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._watched, self._died)

    def _died(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watched)
        os.close(self._watched)
        self._watched = -1
        if self._process is not None:
            self._process.wait()  # it has ended: this takes its zombie away
        # What it said last is still in the channel.
        if self._channel is not None:
            self._channel.drain()
        self._ended.set()
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_exception(MediaError("A media worker died at its start."))
        elif not self._retiring:
            self._on_lost()

    def _kill_process(self) -> None:
        if self._watched >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._watched, signal.SIGKILL)


def _ignore(_: control.Report) -> None:
    """A worker that stands by has nothing to tell."""


def _nothing() -> None:
    """Nobody has a use for it yet."""
