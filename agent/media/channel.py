"""The main process's end of a worker's control channel, on its event loop."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.media import control
from agent.media.errors import ControlError

MAX_QUEUED: Final = 64 * 1024 * 1024
"Bytes that may wait for a worker; one that does not read them is stuck."
_READS: Final = 64
"Reports taken before others in the main process have their turn."


class Channel:
    """Sends commands, in as few records as hold them, and takes reports.

    `on_report` takes what the worker says, with its descriptors, which are then its
    own; `on_closed` is called once when the channel has ended, and not after `close`.
    """

    def __init__(
        self,
        connected: socket.socket,
        *,
        on_report: Callable[[control.Report, list[int]], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._socket: socket.socket | None = connected
        self._on_report = on_report
        self._on_closed = on_closed
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._queued = 0
        self._waiting = False
        "Whether the loop tells when the channel takes more."
        asyncio.get_running_loop().add_reader(connected.fileno(), self._readable)

    def send(self, message: control.Command, descriptors: tuple[int, ...] = ()) -> None:
        """Queue a message, to be sent before the loop turns again, or at `flush`.

        What is sent after the end is lost. Raises ControlError if it is too long.
        """
        if self._socket is None:
            return
        data = control.encode(message)
        self._queue.append((data, descriptors))
        self._queued += len(data)
        if self._queued > MAX_QUEUED:
            self._end()
        elif not self._waiting and len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send what is queued."""
        channel = self._socket
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
                self._end()
                return
            for _ in range(count):
                self._queued -= len(self._queue.popleft()[0])
        if self._waiting:
            self._waiting = False
            asyncio.get_running_loop().remove_writer(channel.fileno())

    def drain(self) -> None:
        """Take everything a worker said before it died."""
        while self._socket is not None:
            self._readable()

    def close(self) -> None:
        """Hang up."""
        channel, self._socket = self._socket, None
        if channel is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(channel.fileno())
        loop.remove_writer(channel.fileno())
        channel.close()
        self._queue.clear()
        self._queued = 0

    def _readable(self) -> None:
        for _ in range(_READS):
            channel = self._socket
            if channel is None:
                return
            try:
                data, descriptors = control.receive(channel)
                if not data:
                    self._end()
                    return
                report = control.decode_report(data)
            except BlockingIOError:
                return
            except (OSError, ControlError):
                self._end()
                return
            self._on_report(report, descriptors)

    def _end(self) -> None:
        self.close()
        self._on_closed()
