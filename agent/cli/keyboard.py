"""Single keys of a terminal, without Return and without an echo."""

import os
import select
import signal
import sys
import termios
import tty
from types import TracebackType
from typing import Any, Final, Self

_PIPE: Final = os.O_NONBLOCK | os.O_CLOEXEC


class Keyboard:
    """Gives keys while it is entered; without a terminal there are none."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._terminal: list[Any] = []
        "How it was set before."
        self._wakened, self._wake = -1, -1
        "A pipe that a signal writes to: the terminal was resized."

    def __enter__(self) -> Self:
        self._wakened, self._wake = os.pipe2(_PIPE)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        # A handler of Python's own must be there for the pipe to be written to.
        signal.signal(signal.SIGWINCH, lambda *_: None)
        if self._fd >= 0:
            self._terminal = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._fd >= 0:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._terminal)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._wakened)
        os.close(self._wake)

    def key(self, seconds: float) -> str:
        """The next key; nothing after so many seconds, or once there was a signal."""
        fds = [fd for fd in (self._fd, self._wakened) if fd >= 0]
        ready, _, _ = select.select(fds, [], [], seconds)
        if self._wakened in ready:
            os.read(self._wakened, 256)
        if self._fd not in ready:
            return ""
        return os.read(self._fd, 1).decode("ascii", "replace")
