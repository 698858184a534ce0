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

from agent.common.clock import monotonic_ns
from agent.media import control
from agent.media.channel import Channel
from agent.media.control_socket import connect, listen
from agent.media.errors import MediaError
from agent.media.events import WorkerEvent
from agent.media.holdings import Holdings
from agent.media.life import Life
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
        self.path = path
        self._early: list[WorkerEvent] = []
        "What it told before anybody had a use for it."
        self._on_report: Callable[[WorkerEvent], None] = self._early.append
        self._on_lost: Callable[[], None] = _nothing
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._watched = -1
        "A descriptor of the process, readable once it has died."
        self._welcome: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._retiring = False
        self._met = False
        "Whether it runs, was started by somebody else, and has said who it is."
        self.pid: int | None = None
        "Of the process, once there is one."
        self.release = ""
        "What it was started from, once it has said who it is."
        self.life = Life(monotonic_ns())
        self.holdings = Holdings()
        "What it had when it was met."

    @property
    def ended(self) -> bool:
        """Whether the process has died."""
        return self._ended.is_set()

    async def start(self, hello: control.Hello) -> None:
        """Spawn, connect, shake hands. Raises MediaError if that fails."""
        try:
            with listen(self.path) as listener:
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

    async def attach(self, hello: control.Hello) -> None:
        """Connect to one that somebody else started, shake hands, learn what it has.

        One of another version is told to close its journals and to end: whoever
        started it starts another, of today's. Raises MediaError.
        """
        await self._greet(hello)

    async def _greet(self, hello: control.Hello) -> None:
        self._welcome = asyncio.get_running_loop().create_future()
        try:
            self._channel = Channel(
                connect(self.path),
                on_report=self._take,
                on_closed=self._hung_up,
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
        except MediaError:
            # It may have journals of an earlier main process to close.
            await (self.retire(EndCause.AGENT_STOPPED) if self._met else self.kill())
            raise
        except BaseException:
            # Also when the start itself is cancelled: nobody else knows of it.
            await self.kill()
            raise
        finally:
            self._welcome = None

    def serve(
        self,
        on_report: Callable[[WorkerEvent], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Tell what the worker says, and, once, that it has died.

        `on_lost` is called too when it has broken the protocol and been killed, and
        not after `retire`. Raises MediaError if it is dead already.
        """
        if self.ended:
            raise MediaError("A media worker died while it stood by.")
        self._on_report, self._on_lost = on_report, on_lost
        for report in self._early:
            on_report(report)
        self._early.clear()

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
        if self._process is not None:
            self.path.unlink(missing_ok=True)

    def end_if_hung(self) -> bool:
        """To be asked every SIGN_SECONDS. One that is hung is killed, as a crash would.

        One that closes its journals to end may take its time.
        """
        if self._retiring or not self.life.turn():
            return False
        self._kill_process()
        return True

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        self._retiring = True
        if self._channel is not None:
            self._channel.close()
        self._kill_process()
        if self._watched >= 0:
            await self._ended.wait()
        self.holdings.close()

    def detach(self) -> None:
        """Let it go on by itself; whoever started it ends it."""
        self._retiring = True
        self.flush()
        if self._channel is not None:
            self._channel.close()
        if self._watched >= 0:
            self._unwatch()
        self.holdings.close()

    def _take(self, report: control.Report, descriptors: list[int]) -> None:
        match report:
            case control.Welcome():
                self._meet(report)
            case control.Alive():
                self.life.sign(report.journal_lag, monotonic_ns())
            case control.Held():
                self.holdings.add(report, descriptors)
                if report.last and self._welcome and not self._welcome.done():
                    self._welcome.set_result(None)
            case _:
                self._on_report(report)
        for fd in descriptors:
            os.close(fd)

    def _meet(self, welcome: control.Welcome) -> None:
        self.release = welcome.release
        if self._watched < 0:
            try:
                self._watch(welcome.pid)
            except OSError:
                self._refuse("A media worker has died.")
                return
            self._met = True
        if welcome.version != control.VERSION:
            self._refuse(f"A media worker speaks version {welcome.version}.")

    def _refuse(self, reason: str) -> None:
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_exception(MediaError(reason))

    def _hung_up(self) -> None:
        self._kill_process()
        self._refuse("A media worker has hung up.")

    # -- the process ----------------------------------------------------------

    def _watch(self, pid: int) -> None:
        """Be told at once when it dies. Raises OSError if it is dead already."""
        self.pid = pid
        self._watched = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._watched, self._died)

    def _died(self) -> None:
        self._unwatch()
        if self._process is not None:
            self._process.wait()  # it has ended: this takes its zombie away
        # What it said last is still in the channel.
        if self._channel is not None:
            self._channel.drain()
        self._ended.set()
        if self._welcome is not None:
            self._refuse("A media worker died at its start.")
        elif not self._retiring:
            self._on_lost()

    def _unwatch(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watched)
        os.close(self._watched)
        self._watched = -1

    def _kill_process(self) -> None:
        if self._watched >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._watched, signal.SIGKILL)


def _nothing() -> None:
    """Nobody has a use for it yet."""
