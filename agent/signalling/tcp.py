"""TCP sockets as SIP wants them."""

import socket
from typing import Final

from agent.signalling.config import Listener
from agent.signalling.transport import TransportError

BACKLOG: Final = 128


def listen(listener: Listener) -> socket.socket:
    """A listening socket. Raises TransportError."""
    address = listener.address
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise TransportError(
            f"cannot listen on {listener.transport} {address}: {error}."
        ) from error
    return sock


def tune(sock: socket.socket) -> None:
    """Messages go at once, and a peer that has vanished is found out."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    # Unacknowledged for as long as timer B would wait: the network is gone.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 32_000)
