"""What the socket module does not say: UDP sockets that connect and part again."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from agent.media.reception import Source

_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("=qq")
_TIMESPEC_SPACE: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_UNSPECIFIED: Final = struct.pack("=H14x", socket.AF_UNSPEC)
MAX_DISCARDED: Final = 4096
"Datagrams thrown away in one go: more than a receive buffer holds."


def connect(
    channel: socket.socket, peer: Source, size: int
) -> list[tuple[bytes, int | None]]:
    """Take datagrams from `peer` only.

    Returns those of `peer` that were queued already, cut to `size` bytes, and when
    they arrived, as `next_arrival` tells it. Raises OSError as connect does.
    """
    channel.connect(peer)
    # The kernel filters what comes from now on; what strangers sent before stands
    # in the queue all the same.
    queued = []
    for _ in range(MAX_DISCARDED):
        try:
            data, control, _, source = channel.recvmsg(size, _TIMESPEC_SPACE)
        except BlockingIOError:
            break
        except OSError:
            # An ICMP error of an earlier packet; reading it clears it.
            continue
        if (source[0], source[1]) == peer:
            queued.append((data, _arrival(control)))
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


def tell_arrivals(channel: socket.socket) -> None:
    """Have the kernel note when datagrams arrive, for `queued` to tell."""
    channel.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def next_arrival(channel: socket.socket) -> int | None:
    """When the datagram arrived that is read next, in nanoseconds of CLOCK_REALTIME.

    None of one that came before `tell_arrivals`. Raises OSError if there is none.
    """
    _, control, _, _ = channel.recvmsg(0, _TIMESPEC_SPACE, socket.MSG_PEEK)
    return _arrival(control)


def queued(
    channel: socket.socket, size: int, until_ns: int
) -> Iterator[tuple[bytes, Source, int]]:
    """Take what waits in a socket and arrived before `until_ns`.

    Each datagram is cut to `size` bytes; with it come its source and when it arrived.
    Both times are nanoseconds of CLOCK_REALTIME, the kernel's own choice. What came
    before `tell_arrivals` counts as arrived now.
    """
    for _ in range(MAX_DISCARDED):
        try:
            arrival_ns = next_arrival(channel)
            if arrival_ns is None or arrival_ns >= until_ns:
                return
            data, source = channel.recvfrom(size)
        except BlockingIOError:
            return
        except OSError:
            # As above.
            continue
        yield data, (source[0], source[1]), arrival_ns


def _arrival(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, value in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, rest = _TIMESPEC.unpack(value)
            return int(seconds) * 1_000_000_000 + int(rest)
    return None


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
