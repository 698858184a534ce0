"""A plain epoll loop: descriptors, and callbacks at times of the monotonic clock."""

import heapq
import select
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from agent.common.clock import monotonic_ns

GATHER: Final = 0.002
"""Seconds for which packets gather before the next round.

A tenth of a frame, which no ear and no jitter buffer notices. A process that wakes for
each packet spends more time waking than working: with a hundred calls this saves a
fifth of the processor.
"""
AGAIN: Final = 64
"Datagrams one socket may have taken between two such pauses: far beyond any phone's."
_NS: Final = 1_000_000_000


class Timer:
    """A callback that is due once; `cancel` makes it none."""

    __slots__ = ("at_ns", "callback")

    def __init__(self, at_ns: int, callback: Callable[[int], None]) -> None:
        self.at_ns = at_ns
        self.callback: Callable[[int], None] | None = callback

    def cancel(self) -> None:
        """Take it back; harmless once it has fired."""
        self.callback = None


class Loop:
    """Reads what is readable, then does what is due.

    A handler takes one datagram each time it is called: the level-triggered epoll
    comes back for the rest, after the others have had their turn.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._urgent: set[int] = set()
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._running = False

    def add_reader(
        self, fd: int, handler: Callable[[], None], *, urgent: bool = False
    ) -> None:
        """Call `handler` whenever `fd` is readable or has an error to tell.

        An `urgent` one is called before all others of its round (and once more in
        its turn): what was sent to it before a packet is known before the packet is.
        """
        self._handlers[fd] = handler
        if urgent:
            self._urgent.add(fd)
        self._epoll.register(fd, select.EPOLLIN)

    def want_write(self, fd: int, *, on: bool) -> None:
        """Call the handler of `fd` when it is writable, too."""
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if on else 0))

    def remove(self, fd: int) -> None:
        """Forget `fd`; to be called before it is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            self._urgent.discard(fd)

    def call_at(self, at_ns: int, callback: Callable[[int], None]) -> Timer:
        """Call `callback(now_ns)` once `at_ns` has come."""
        timer = Timer(at_ns, callback)
        heapq.heappush(self._timers, (at_ns, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Leave `run` after the present round."""
        self._running = False

    def close(self) -> None:
        """Give the epoll descriptor back."""
        self._epoll.close()

    def run(self) -> None:
        """Go round until `stop`."""
        self._running = True
        while self._running:
            ready = self._epoll.poll(self._timeout())
            self._serve(ready)
            for _ in range(AGAIN):
                if not (ready := self._still(ready)):
                    break
                self._serve(ready)
            time.sleep(GATHER)

    def _still(self, ready: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of a round with more to read: a burst must not overflow a queue.

        The urgent are among them: what is read now may have been sent after a command.
        """
        if not self._running:
            return []
        served = {fd for fd, _ in ready}
        again = self._epoll.poll(0)
        if served.isdisjoint(fd for fd, _ in again):
            return []
        return [event for event in again if event[0] in served | self._urgent]

    def _serve(self, ready: list[tuple[int, int]]) -> None:
        handlers = self._handlers
        urgent = self._urgent
        for fd, _ in ready:
            if fd in urgent:
                handlers[fd]()
        for fd, _ in ready:
            # An earlier handler of this round may have closed it.
            if (handler := handlers.get(fd)) is not None:
                handler()
        self._fire()

    def _timeout(self) -> float:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers:
            return -1
        return max(0, timers[0][0] - monotonic_ns()) / _NS

    def _fire(self) -> None:
        timers = self._timers
        now_ns = monotonic_ns()
        while timers and timers[0][0] <= now_ns:
            timer = heapq.heappop(timers)[2]
            if (callback := timer.callback) is not None:
                timer.callback = None
                callback(now_ns)
