"""SIP over UDP: a socket on one side, datagrams with their flow on the other."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

from agent.common.errors import AgentError
from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip.flow import Flow

RECEIVE_BUFFER: Final = 4 * 1024 * 1024
"Bytes asked of the kernel: a second of a busy hour's signalling while main is held up."


class TransportError(AgentError):
    """A listener cannot be opened."""

    permanent = False
    hint = "Check [sip] listen, and that nothing else uses the port."


class UdpTransport(asyncio.DatagramProtocol):
    """One UDP listener.

    `on_datagram(data, flow)` gets what arrives; `on_error(flow)` hears that a peer's
    host refused what was sent last (ICMP), as far as the kernel says so.
    """

    def __init__(
        self,
        listener: Listener,
        on_datagram: Callable[[bytes, Flow], None],
        held: socket.socket | None = None,
    ) -> None:
        """`held`: a bound socket, which somebody else has opened for this listener."""
        self.listener = listener
        self.socket = held
        self._on_datagram = on_datagram
        self._transport: asyncio.DatagramTransport | None = None
        self.send_errors = 0
        "Datagrams the kernel would not take; the transactions' timers cover for them."

    async def start(self) -> None:
        """Open the socket, unless it is. Raises TransportError."""
        self.socket = self.socket or _bound(self.listener.address)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=self.socket)

    def close(self) -> None:
        """Close the socket; what was sent before is not held back."""
        if self._transport is not None:
            self._transport.close()

    def send(self, data: bytes, flow: Flow) -> None:
        """Send one datagram to the flow's remote address."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, (flow.remote.host, flow.remote.port))

    # -- asyncio's callbacks ---------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport is no instance of DatagramTransport.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        remote = Address(addr[0], addr[1])
        self._on_datagram(data, Flow("udp", self.listener.address, remote))

    def error_received(self, exc: Exception) -> None:
        # Unconnected UDP sockets do not say which peer it was.
        self.send_errors += 1


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        sock.bind((address.host, address.port))
    except OSError as error:
        sock.close()
        raise TransportError(f"cannot listen on udp {address}: {error}.") from error
    return sock
