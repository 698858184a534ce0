"""How far a TCP connection has come, as the kernel counts it: tcp(7), TCP_INFO."""

import fcntl
import socket
import struct
import termios
from typing import Final, NamedTuple, Protocol

_COUNTERS: Final = struct.Struct("=QQ")
_AT: Final = 120
"Of tcpi_bytes_acked and tcpi_bytes_received in struct tcp_info."
_INT: Final = struct.Struct("=i")
MAX_TRIES: Final = 1000


class TcpSocket(Protocol):
    """What is asked of a socket."""

    def fileno(self) -> int: ...
    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


class Progress(NamedTuple):
    """Octets, whoever read and wrote them, counted from a start that stays the same."""

    read: int
    "That some process has read."
    written: int
    "That some process has written."


def progress_of(sock: TcpSocket) -> Progress:
    """What was read from and written to a connection. Raises OSError.

    It survives the process that did so, and tells the next one what it left undone.
    """
    for _ in range(MAX_TRIES):
        before = _counters(sock)
        unread = _queued(sock, termios.FIONREAD)
        unacked = _queued(sock, termios.TIOCOUTQ)
        # The network may have gone on in between.
        if before == _counters(sock):
            acked, received = before
            return Progress(received - unread, acked + unacked)
    raise OSError("The connection does not stand still.")


def _counters(sock: TcpSocket) -> tuple[int, int]:
    size = _AT + _COUNTERS.size
    found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    if len(found) < size:
        raise OSError("The kernel counts no octets of TCP connections.")
    acked, received = _COUNTERS.unpack_from(found, _AT)
    return acked, received


def _queued(sock: TcpSocket, request: int) -> int:
    answer = fcntl.ioctl(sock.fileno(), request, bytes(_INT.size))
    return int(_INT.unpack(answer)[0])
