"""Room in the spool: whether a recording that begins now has a place to go.

Two bounds: the high-water mark, a fraction of the file system, which leaves room for
what is being recorded and finished; and a floor of free bytes. Nothing that waits is
ever removed to make room.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.recording.high_water import HighWater

HYSTERESIS: Final = 0.02
"Of the file system: so far below the mark it must fall for the alarm to clear."
WATCH_SECONDS: Final = 5.0
"Between looks while no call comes."
MIN_INODES: Final = 64
"A recording needs a dozen, in the spool and while it is finished."
HINT: Final = "Make room, or let storage take what waits."


class NoRoomError(AgentError):
    """The spool takes no new recording now."""

    permanent = False
    hint = HINT


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has; `used` and `free` in bytes."""

    used: int
    free: int
    "For an ordinary process."
    inodes: int | None
    "Files that an ordinary process may make; None where that is not counted."

    @property
    def fraction(self) -> float:
        """How full it is, as `df` tells it."""
        return self.used / (self.used + self.free) if self.used + self.free else 1.0


class SpoolRoom:
    """Watches the spool's file system; raises and clears one alarm."""

    def __init__(self, directory: Path, *, high_water: float, min_free: int) -> None:
        """`directory` is that of the journals; `high_water` a fraction."""
        self._directory = directory
        self._min_free = min_free
        self._water = HighWater(high_water, max(0.0, high_water - HYSTERESIS))
        self._log = structlog.get_logger()

    @property
    def high_water(self) -> float:
        """The mark."""
        return self._water.mark

    @property
    def high(self) -> bool:
        """Whether the alarm is on."""
        return self._water.high

    def look(self) -> Room:
        """Measure, raise or clear the alarm. Raises OSError.

        No disk is waited for: the kernel has these figures in memory.
        """
        status = os.statvfs(self._directory)
        room = Room(
            used=(status.f_blocks - status.f_bfree) * status.f_frsize,
            free=status.f_bavail * status.f_frsize,
            inodes=status.f_favail if status.f_files else None,
        )
        if self._water.see(room.fraction):
            self._tell(room)
        return room

    def _tell(self, room: Room) -> None:
        log = self._log.bind(
            used_percent=round(room.fraction * 100, 1),
            high_water_percent=round(self.high_water * 100, 1),
            free_mb=room.free >> 20,
        )
        if self.high:
            log.error("spool_high_water")
        else:
            log.warning("spool_below_high_water")

    def check(self) -> None:
        """Raise NoRoomError unless a recording that begins now has room."""
        try:
            room = self.look()
            writable = os.access(self._directory, os.W_OK | os.X_OK)
            read_only = os.statvfs(self._directory).f_flag & os.ST_RDONLY
        except OSError as error:
            raise NoRoomError(
                f"the spool cannot be read: {error.strerror}.",
                hint="Check its file system.",
            ) from error
        if not writable or read_only:
            raise NoRoomError("the spool cannot be written.", hint="Check its owner.")
        if room.free < self._min_free:
            raise NoRoomError(f"the spool has {room.free >> 20} MiB left.")
        if room.inodes is not None and room.inodes < MIN_INODES:
            raise NoRoomError(f"the spool has {room.inodes} inodes left.")
        if self.high:
            raise NoRoomError(
                f"the spool is {room.fraction * 100:.0f} % full, above its high-water"
                " mark."
            )

    async def watch(self) -> None:
        """Look now and then, for ever: the alarm waits for no call."""
        unreadable = False
        while True:
            try:
                self.look()
                if unreadable:
                    self._log.warning("spool_readable")
                unreadable = False
            except OSError as error:
                if not unreadable:
                    self._log.error("spool_unreadable", reason=str(error))
                unreadable = True
            await asyncio.sleep(WATCH_SECONDS)
