"""systemd's journal: one datagram of fields for a line of the log.

The native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). Written here and not taken
from systemd-python, which has no wheel, and which waits while the journal stands still.
"""

import array
import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Final

SOCKET: Final = "/run/systemd/journal/socket"
STREAM: Final = "JOURNAL_STREAM"
"The variable that names device and inode of a stream that goes to the journal."
SEND_BUFFER: Final = 8 << 20
"What journald's own clients ask for; the kernel may give less."
_LATER: Final = {
    errno.EAGAIN,  # its queue is full
    errno.ECONNREFUSED,  # it is being restarted
    errno.ENOENT,
    errno.ENOBUFS,
}
_SEALS: Final = (
    fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
)


def goes_to_journal(fd: int, environment: Mapping[str, str]) -> bool:
    """Whether a stream of ours ends in the journal, so that it can have fields."""
    status = os.fstat(fd)
    return environment.get(STREAM) == f"{status.st_dev}:{status.st_ino}"


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields as the journal takes them; a name is A-Z, 0-9 and _, from a letter on."""
    parts = []
    for name, value in fields:
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            size = len(data).to_bytes(8, "little")
            parts.append(b"%s\n%s%s\n" % (name.encode(), size, data))
        else:
            parts.append(b"%s=%s\n" % (name.encode(), data))
    return b"".join(parts)


class SystemJournal:
    """The socket that journald reads; it is never waited for."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_UNIX, kind)
        with contextlib.suppress(OSError):
            # Less is enough: what does not fit goes by a file in memory.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def take(self, data: bytes) -> int:
        """Send all of `data` or, if the journal does not read now, nothing.

        Raises OSError: it cannot be sent at all.
        """
        try:
            # By its path each time: a journald that begins anew has another socket.
            self._socket.sendto(data, self._path)
        except OSError as error:
            if error.errno in _LATER:
                return 0
            if error.errno != errno.EMSGSIZE:
                raise
            return self._take_by_file(data)
        return len(data)

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()

    def _take_by_file(self, data: bytes) -> int:
        """Hand it over in memory that nobody can change any more."""
        file = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(file, data)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = array.array("i", [file]).tobytes()
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            self._socket.sendmsg([b""], ancillary, 0, self._path)
        except OSError as error:
            if error.errno in _LATER:
                return 0
            raise
        finally:
            os.close(file)
        return len(data)
