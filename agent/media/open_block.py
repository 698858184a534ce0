"""What a recording has that no disk has yet, in memory that outlives its worker.

A ring of journal records in a memfd, which the main process holds as well. If the
worker dies, its successor finds in it every record that was not written. Four words
stand before the records, each stored whole after what it speaks of. Three count bytes
since the recording's start:

    written    what the disk has                   stored by the writer's thread
    wiped      what was overwritten with zeros     stored by the writer's thread
    end        whole records                       stored by the loop's thread
    short      when the first record came that     stored by either, under the lock
               neither it nor the disk has; or 0
"""

import os
import threading
from typing import Final

from agent.common.memory import create_memory, map_memory

CAPACITY: Final = 128 * 1024
"Seven seconds of two legs of G.711: the open block, and those that wait for the disk."
_OF_A_LEG: Final = CAPACITY // 2
_HEAD: Final = 64
_WRITTEN, _WIPED, _END, _SHORT = range(4)
_WORDS: Final = 4 * 8


def create_open_block(legs: int) -> int:
    """Memory for one recording of so many legs. Raises MemoryRefusedError.

    It is not mapped here: what is said in a call is no business of this process.
    """
    memory = create_memory("open-block", _HEAD + max(CAPACITY, legs * _OF_A_LEG))
    memory.view.close()
    return memory.fd


class OpenBlock:
    """The records in such memory, of this worker and of those before it."""

    # Every packet comes by, with the caches full of other calls: one object to find,
    # and not its dictionary as well.
    __slots__ = (
        "_at",
        "_capacity",
        "_closed",
        "_end",
        "_left_out",
        "_lock",
        "_memory",
        "_size",
        "_until",
        "_words",
        "fd",
    )

    def __init__(self, fd: int) -> None:
        """Map it, and own the descriptor. Raises MemoryRefusedError, OSError."""
        self.fd = fd
        self._memory = map_memory(fd).view
        self._size = len(self._memory)
        self._capacity = self._size - _HEAD
        self._words = memoryview(self._memory)[:_WORDS].cast("Q")
        self._end = self._words[_END]
        self._at = self._until = _HEAD
        """Where the next record goes, if it ends before the other: known to be free,
        and on this side of the ring's end."""
        self._lock = threading.Lock()
        self._closed = False
        self._left_out = 0

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self._end

    def put(self, record: bytes) -> bool:
        """Add a record; False if the disk is so far behind that none fits."""
        at, size = self._at, len(record)
        stop = at + size
        if stop > self._until:
            return self._put_anywhere(record)
        self._memory[at:stop] = record
        self._at = stop
        self._words[_END] = self._end = self._end + size
        return True

    def _put_anywhere(self, record: bytes) -> bool:
        """Add a record where room must be looked for, or that goes round the end."""
        end = self._end + len(record)
        limit = self._words[_WIPED] + self._capacity
        if end > limit:
            return False
        position = 0
        for at, stop in self._places(self._end, end):
            size = stop - at
            self._memory[at:stop] = record[position : position + size]
            self._at = stop
            position += size
        self._until = min(self._size, self._at + limit - end)
        self._words[_END] = self._end = end
        return True

    @property
    def left_out(self) -> int:
        """How many records found no room, for `written` to tell which the disk has."""
        return self._left_out

    @property
    def short_since_ns(self) -> int:
        """When the first record came that is not here and may be nowhere; else 0."""
        return self._words[_SHORT]

    def leave_out(self, at_ns: int) -> None:
        """A record of that moment found no room: if this worker dies, it is lost."""
        with self._lock:
            self._left_out += 1
            self._words[_SHORT] = self._words[_SHORT] or at_ns

    def written(self, until: int, left_out: int = 0) -> None:
        """The disk has what was put before `until`: it goes from memory.

        And the first `left_out` of those that found no room.
        """
        with self._lock:
            if self._closed:
                return
            self._words[_WRITTEN] = until
            self._wipe(self._words[_WIPED], until)
            self._words[_WIPED] = until
            if left_out == self._left_out:
                self._words[_SHORT] = 0

    def take_back(self, since: int) -> None:
        """Forget what was put from `since` on, as if it had never been."""
        end, self._end = self._end, since
        self._words[_END] = since
        self._wipe(since, end)
        self._at = self._until = _HEAD

    def rest(self) -> bytes:
        """All records that the disk may not have."""
        places = self._places(self._words[_WRITTEN], self._end)
        return b"".join(self._memory[at:stop] for at, stop in places)

    def close(self) -> None:
        """Wipe it and let it go; the writer may not know yet, and does no harm."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._words.release()
            self._memory[:] = bytes(self._size)
            self._memory.close()
            os.close(self.fd)

    def _wipe(self, start: int, end: int) -> None:
        for at, stop in self._places(start, end):
            self._memory[at:stop] = bytes(stop - at)

    def _places(self, start: int, end: int) -> list[tuple[int, int]]:
        """Where the bytes from `start` to `end` are: one stretch, or two."""
        at = start % self._capacity + _HEAD
        stop = at + end - start
        if stop <= self._size:
            return [(at, stop)]
        return [(at, self._size), (_HEAD, stop - self._capacity)]
