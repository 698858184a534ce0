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


def connect(channel: socket.socket, peer: Source) -> None:
    """Take datagrams from `peer` only, and none that were queued before.

    Raises OSError as connect does.
    """
    channel.connect(peer)
    # The kernel filters what comes from now on; what strangers sent stands in the
    # queue all the same.
    discard(channel)


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
            # An ICMP error of an earlier packet; reading it clears it.
            continue
        count += 1
    return count


def forbid_dumps() -> None:
    """Let no core file and no debugger of the same user see this process's audio."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
