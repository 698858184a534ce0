"""How far an audit log has come, remembered beside its writer.

Storage alone cannot tell a log that was cut off from one that ends there. Within a day
this file can, and the ends of days are kept elsewhere.
"""

import os
from pathlib import Path

from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.layout import MAX_SEQUENCE

_SIZE = 13


class MarkError(AgentError):
    """The file does not say how far the log has come."""

    hint = "Run `audit verify`; if the log is whole, remove the file."


class Mark:
    """The number of the last row that is durable, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """That number; 0 if there is no file. Raises MarkError, OSError."""
        try:
            with self._path.open("rb") as file:
                text = file.read(_SIZE + 1)
        except FileNotFoundError:
            return 0
        if len(text) != _SIZE or text[-1:] != b"\n" or not text[:-1].isdigit():
            raise MarkError(f"{self._path.name} is damaged.")
        return int(text)

    def write(self, number: int) -> None:
        """Remember it. A power cut may leave an earlier number, never none.

        To have each number outlast that would cost every row its time. Raises OSError.
        """
        if not 0 <= number <= MAX_SEQUENCE:
            raise MarkError("No audit log has so many rows.")
        text = b"%012d\n" % number
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            write_durably(self._path, text)
            return
        try:
            # In place, all at once: who reads it sees one number or the other.
            os.pwrite(fd, text, 0)
        finally:
            os.close(fd)
