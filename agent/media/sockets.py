"""What the socket module does not say: UDP sockets that connect and part again."""

import ctypes
import os
import socket
import struct
from typing import Final

from agent.media.reception import Source

_PR_SET_DUMPABLE: Final = 4
_UNSPECIFIED: Final = struct.pack("=H14x", socket.AF_UNSPEC)
MAX_DISCARDED: Final = 4096
"Datagrams thrown away in one go: more than a receive buffer holds."


def connect(channel: socket.socket, peer: Source, size: int) -> list[bytes]:
    """Take datagrams from `peer` only.

    Returns those of `peer` that were queued already, cut to `size` bytes. Raises
    OSError as connect does.
    """
    channel.connect(peer)
    # The kernel filters what comes from now on; what strangers sent before stands
    # in the queue all the same.
    queued = []
    for _ in range(MAX_DISCARDED):
        try:
            data, source = channel.recvfrom(size)
        except BlockingIOError:
            break
        except OSError:
            # An ICMP error of an earlier packet; reading it clears it.
            continue
        if (source[0], source[1]) == peer:
            queued.append(data)
    return queued


def disconnect(channel: socket.socket) -> None:
    """Take datagrams from anybody again (connect(2): AF_UNSPEC)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(channel.fileno(), _UNSPECIFIED, len(_UNSPECIFIED)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def peer_of(channel: socket.socket) -> Source | None:
    """Where the socket is connected to, if it is."""
    try:
        name = channel.getpeername()
    except OSError:
        return None
    return name[0], name[1]


def discard(channel: socket.socket) -> int:
    """Throw away what is queued; returns how many datagrams that were."""
    count = 0
    for _ in range(MAX_DISCARDED):
        try:
            channel.recv(1)
        except BlockingIOError:
            break
        except OSError:
            # As above.
            continue
        count += 1
    return count


def forbid_dumps() -> None:
    """Let no core file and no debugger of the same user see this process's audio."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
