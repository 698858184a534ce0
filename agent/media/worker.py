"""One media worker: `python -m agent.media.worker LISTENING_FD`, or `--listen PATH`.

It serves one main process at a time. When the main process goes away it relays and
journals on for a while, so that another can take over; then it closes its journals and
ends. With a path it is a unit of its own, which a service manager starts and ends, and
which waits for a main process for as long as it has nothing to lose.
"""

import gc
import os
import random
import resource
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.common.clock import monotonic_ns
from agent.common.crashes import tell_crashes
from agent.common.dumps import forbid_dumps
from agent.common.release import release
from agent.common.service_manager import ServiceManager
from agent.media import control
from agent.media.control_socket import listen
from agent.media.errors import ControlError
from agent.media.events import WorkerEvent
from agent.media.life import SIGN_SECONDS
from agent.media.loop import Loop, Timer
from agent.media.relay import Relay
from agent.model.call import EndCause

IDENTIFIER: Final = "recording-agent-media"
"How journald names its last line, if it ends by a mistake."
MAX_UNSENT: Final = 100_000
"Reports that may wait for a main process that does not read."
MAX_COMMANDS: Final = 256
"Records of commands obeyed before packets have their turn again."
_NS: Final = 1_000_000_000
_SIGN_NS: Final = int(SIGN_SECONDS * _NS)


class Worker:
    """The control channel of one worker process, and its end."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        apart: bool = False,
        manager: ServiceManager | None = None,
    ) -> None:
        """`manager` is who watches over it, if a service manager does."""
        self._listener = listener
        self._apart = apart
        self._loop = Loop()
        self._channel: socket.socket | None = None
        self._greeting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        "What the main process must be told first."
        self._unsent: deque[bytes] = deque(maxlen=MAX_UNSENT)
        "Kept while there is no main process, for the next one."
        self._greeted = False
        self._relay: Relay | None = None
        self._orphan_ns = int(control.ORPHAN_SECONDS * _NS)
        self._orphaned: Timer | None = None
        self._cause: EndCause | None = None
        self._for_good = False
        self._release = release()
        self._manager = manager or ServiceManager({})

    def run(self) -> int:
        """Serve until told to retire, or left alone for too long; the exit status."""
        self._listener.settimeout(0)
        self._loop.add_reader(self._listener.fileno(), self._accept)
        self._wait_for_main()
        self._manager.mention("READY=1")
        self._sign(monotonic_ns())
        self._loop.run()
        if self._relay is not None:
            self._relay.finish(self._cause or EndCause.AGENT_DIED)
        if self._channel is not None:
            # It closes with the process: whom a main process hears hang up, it kills.
            self._flush_at_end(self._channel)
        self._listener.close()
        self._loop.close()
        return control.FOR_GOOD if self._for_good else 0

    # -- main processes, one at a time ----------------------------------------

    def stop(self, cause: EndCause) -> None:
        """Close every journal, and end."""
        self._cause = cause
        self._loop.stop()

    def add_reader(self, fd: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `fd` is readable."""
        self._loop.add_reader(fd, handler)

    def _wait_for_main(self) -> None:
        if self._apart and (self._relay is None or self._relay.idle):
            return
        self._orphaned = self._loop.call_at(
            monotonic_ns() + self._orphan_ns, lambda _: self._loop.stop()
        )

    def _accept(self) -> None:
        try:
            channel, _ = self._listener.accept()
        except OSError:
            # It went away before it was received.
            return
        if self._channel is not None:
            # Only one may command; the newer one is the one that lives.
            self._detach()
        if self._orphaned is not None:
            self._orphaned.cancel()
            self._orphaned = None
        channel.settimeout(0)
        self._channel = channel
        self._loop.add_reader(channel.fileno(), self._on_channel, urgent=True)

    def _detach(self) -> None:
        channel = self._channel
        if channel is None:
            return
        self._loop.remove(channel.fileno())
        channel.close()
        self._channel = None
        self._greeting.clear()
        self._greeted = False
        self._wait_for_main()

    def _on_channel(self) -> None:
        # All there is, before any packet: what was agreed before a packet was sent
        # must be known when it is looked at.
        for _ in range(MAX_COMMANDS):
            channel = self._channel
            if channel is None:
                return
            self._flush(channel)
            try:
                data, descriptors = control.receive(channel)
            except BlockingIOError:
                return
            except ConnectionResetError:
                # Told before all else where it did not read our last reports; what it
                # said before its end is still to be read.
                continue
            except (OSError, ControlError):
                self._detach()
                return
            if not data:
                self._detach()
                return
            self._take(data, descriptors)

    def _take(self, data: bytes, descriptors: list[int]) -> None:
        try:
            for command in control.decode_commands(data):
                self._obey(command, descriptors)
        except ControlError:
            self._detach()
        finally:
            for fd in descriptors:
                os.close(fd)

    def _obey(self, command: control.Command, descriptors: list[int]) -> None:
        match command:
            case control.Hello():
                self._greet(command)
            case control.Retire():
                self._for_good = command.for_good
                self.stop(EndCause(command.cause))
            case _:
                if self._relay is None:
                    raise ControlError("The main process did not say Hello.")
                self._relay.obey(command, descriptors)

    def _greet(self, hello: control.Hello) -> None:
        # A main process of another version learns ours, and decides.
        known = hello.version == control.VERSION
        if known:
            self._orphan_ns = int(hello.orphan_seconds * _NS)
        if known and self._relay is None:
            self._relay = Relay(
                self._loop,
                self._report,
                timeout=hello.timeout,
                one_way_after=hello.one_way_after,
                silent_after=hello.silent_after,
                fsync_interval=hello.fsync_interval,
                rng=random.SystemRandom(),
            )
        welcome = control.Welcome(
            version=control.VERSION, pid=os.getpid(), release=self._release
        )
        self._greeting.append((control.encode(welcome), ()))
        if known and self._relay is not None:
            for part, descriptors in self._relay.held():
                self._greeting.append((control.encode(part), descriptors))
        self._greeted = known
        if self._channel is not None:
            self._flush(self._channel)

    # -- signs of life --------------------------------------------------------

    def _sign(self, now_ns: int) -> None:
        """Show that the loop goes round: to the main process, and to our own unit's."""
        self._manager.mention("WATCHDOG=1")
        # A main process that does not read finds one sign, and not one of each second.
        if self._greeted and self._relay is not None and not self._unsent:
            alive = control.Alive(journal_lag=self._relay.journal_lag())
            self._unsent.append(control.encode(alive))
            if self._channel is not None:
                self._flush(self._channel)
        self._loop.call_at(now_ns + _SIGN_NS, self._sign)

    # -- reports --------------------------------------------------------------

    def _report(self, report: WorkerEvent) -> None:
        self._unsent.append(control.encode(report))
        if self._channel is not None:
            self._flush(self._channel)

    def _flush(self, channel: socket.socket) -> None:
        waited = bool(self._greeting or self._unsent)
        try:
            self._send(channel)
        except BlockingIOError:
            self._loop.want_write(channel.fileno(), on=True)
            return
        except OSError:
            # Its end is told by the next read.
            return
        if waited:
            self._loop.want_write(channel.fileno(), on=False)

    def _send(self, channel: socket.socket) -> None:
        while self._greeting:
            control.send(channel, *self._greeting[0])
            self._greeting.popleft()
        while self._greeted and self._unsent:
            channel.send(self._unsent[0])
            self._unsent.popleft()

    def _flush_at_end(self, channel: socket.socket) -> None:
        channel.settimeout(1.0)
        try:
            self._send(channel)
        except OSError:
            # The main process is gone: the journals themselves tell.
            self._unsent.clear()


def main() -> None:
    """Entry point of the process."""
    apart = sys.argv[1] == "--listen"
    # The main process decides when its calls end; a terminal's or a service
    # manager's signal reaches it too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not apart:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forbid_dumps()
    tell_crashes(IDENTIFIER)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if apart:
        manager = ServiceManager(os.environ)
        worker = Worker(listen(Path(sys.argv[2])), apart=True, manager=manager)
        _end_at_sigterm(worker)
    else:
        worker = Worker(socket.socket(fileno=int(sys.argv[1])))
    # What exists now lives as long as the process: no collection need visit it.
    gc.collect()
    gc.freeze()
    status = worker.run()
    if apart:
        # Nobody is to be looked for where there may be nobody any more.
        Path(sys.argv[2]).unlink(missing_ok=True)
    os._exit(status)


def _end_at_sigterm(worker: Worker) -> None:
    """A unit of its own is ended by its service manager.

    Until this is called the signal kills it: there is nothing to lose yet.
    """
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    worker.add_reader(awake, lambda: worker.stop(EndCause.AGENT_STOPPED))
    signal.set_wakeup_fd(wake)
    # The signal wakes the loop; a handler of Python's own must be there for that.
    signal.signal(signal.SIGTERM, lambda *_: None)


if __name__ == "__main__":
    main()
