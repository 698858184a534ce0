"""Room kept beside the ledger for the day the disk is full."""

import contextlib
import os
from pathlib import Path
from typing import Final

LAST_PART: Final = 4
"Its last quarter is for closing what stands: no new call may take it."


class Reserve:
    """A preallocated file that is given up in two steps, and made anew later."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self.spent = False
        "Whether its last part was given up since it was whole."

    def give_up(self, *, last: bool) -> bool:
        """Give back most of it, or the last part; False if there is none to give."""
        try:
            size = self._path.stat().st_size
            if size > self._size // LAST_PART:
                os.truncate(self._path, self._size // LAST_PART)
                return True
            if last:
                self._path.unlink()
                self.spent = True
        except OSError:
            return False
        return last

    def keep(self) -> bool:
        """Make it whole if it is not and there is room; whether it was made now."""
        if self._size == 0:
            return False
        try:
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_size >= self._size:
                    return False
            status = os.statvfs(self._path.parent)
            if status.f_bavail * status.f_frsize < 4 * self._size:
                return False
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, self._size)
            finally:
                os.close(fd)
        except OSError:
            # No room after all; a part of it may not pass for the whole.
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        self.spent = False
        return True
