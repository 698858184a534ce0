"""Where lines of the log go: nobody waits for who reads them.

What is not taken at once waits, up to a bound, and is offered again with the next line;
beyond that new lines are dropped and counted.
"""

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

MAX_WAITING: Final = 1 << 20
"Bytes that may wait: some thousands of lines."
PIECE: Final = select.PIPE_BUF
"What a pipe or socket that poll(2) calls writable takes without blocking."

Taker = Callable[[bytes], int]
"""Takes of some bytes as many as it can without waiting, and says how many. Raises
OSError: it will never take these."""


class Outlet:
    """A taker, and the lines that it has not taken yet."""

    def __init__(self, take: Taker) -> None:
        self._take = take
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        "Lines that nobody will read."

    @property
    def flowing(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def write(self, line: bytes) -> None:
        """Have one line taken, now or later; or drop it."""
        if not self._waiting:
            self._offer(line)
        elif self._size + len(line) > MAX_WAITING and not self.flush():
            self.dropped += 1
        else:
            self._keep(line)
            self.flush()

    def flush(self) -> bool:
        """Offer again what waits; whether nothing does any more."""
        while self._waiting:
            line = self._waiting.popleft()
            self._size -= len(line)
            if not self._offer(line, again=True):
                return False
        return True

    def _offer(self, line: bytes, *, again: bool = False) -> bool:
        try:
            taken = self._take(line)
        except OSError:
            self.dropped += 1
            return True
        if taken == len(line):
            return True
        rest = line[taken:]
        if again:
            self._waiting.appendleft(rest)
            self._size += len(rest)
        else:
            self._keep(rest)
        return False

    def _keep(self, line: bytes) -> None:
        self._waiting.append(line)
        self._size += len(line)


def stream_taker(stream: TextIO) -> Taker:
    """Writes to a stream: past it, to its descriptor, where it has one."""
    try:
        fd = stream.fileno()
    except OSError:
        return _text_taker(stream)
    stream.flush()
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return lambda data: os.write(fd, data)
    return _polled_taker(fd)


def _text_taker(stream: TextIO) -> Taker:
    def take(data: bytes) -> int:
        stream.write(data.decode())
        stream.flush()
        return len(data)

    return take


def _polled_taker(fd: int) -> Taker:
    # The descriptor may be others' too, who would not like it to be non-blocking.
    poll = select.poll()
    poll.register(fd, select.POLLOUT)

    def take(data: bytes) -> int:
        taken = 0
        while taken < len(data) and poll.poll(0):
            taken += os.write(fd, data[taken : taken + PIECE])
        return taken

    return take
