"""Where one side of a load sends and receives its SIP: UDP, TCP or TLS."""

import select
import socket
import ssl
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.framing import Complete, Deframer

MAX_READS: Final = 64
"Of one socket before the others have their turn."
_WAITS: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Received = list[tuple[bytes, Flow]]


class End(ABC):
    """One side's address, and all its sockets in the load's epoll."""

    def __init__(self, transport: str, address: Address, epoll: select.epoll) -> None:
        self.transport = transport
        self.address = address
        self._epoll = epoll

    @property
    def params(self) -> str:
        """What URIs of this end say of its transport."""
        return "" if self.transport == "udp" else f";transport={self.transport}"

    @abstractmethod
    def receive(self, fd: int) -> Received | None:
        """The messages that wait at a socket; None if it is none of this end's."""

    @abstractmethod
    def send(self, data: bytes, flow: Flow) -> None:
        """Send one message."""

    @abstractmethod
    def close(self) -> None:
        """Close every socket."""

    def _watch(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._epoll.register(sock.fileno(), select.EPOLLIN)


class UdpEnd(End):
    """One socket for all."""

    def __init__(self, address: Address, epoll: select.epoll) -> None:
        super().__init__("udp", address, epoll)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._sock.bind((address.host, address.port))
        self._watch(self._sock)

    def receive(self, fd: int) -> Received | None:
        if fd != self._sock.fileno():
            return None
        found: Received = []
        for _ in range(MAX_READS):
            try:
                data, source = self._sock.recvfrom(65535)
            except BlockingIOError:
                break
            found.append((data, Flow("udp", self.address, Address(*source))))
        return found

    def send(self, data: bytes, flow: Flow) -> None:
        self._sock.sendto(data, (flow.remote.host, flow.remote.port))

    def close(self) -> None:
        self._sock.close()


@dataclass(eq=False)
class _Connection:
    sock: socket.socket
    flow: Flow
    deframer: Deframer = field(default_factory=Deframer)


class StreamEnd(End):
    """A listener, and a connection for each peer, whoever opened it.

    A handshake is waited for; so is room for what is sent.
    """

    def __init__(
        self,
        address: Address,
        epoll: select.epoll,
        *,
        client: ssl.SSLContext | None = None,
        server: ssl.SSLContext | None = None,
    ) -> None:
        """With contexts it is TLS."""
        super().__init__("tcp" if client is None else "tls", address, epoll)
        self._client, self._server = client, server
        self._connections: dict[int, _Connection] = {}
        self._listener = socket.create_server((address.host, address.port))
        self._watch(self._listener)

    def receive(self, fd: int) -> Received | None:
        if fd == self._listener.fileno():
            self._accept()
            return []
        connection = self._connections.get(fd)
        return None if connection is None else self._read(connection)

    def send(self, data: bytes, flow: Flow) -> None:
        connection = self._towards(flow)
        while data:
            try:
                data = data[connection.sock.send(data) :]
            except _WAITS:
                select.select([], [connection.sock], [], 1.0)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.sock.close()
        self._listener.close()

    def _towards(self, flow: Flow) -> _Connection:
        for connection in self._connections.values():
            if connection.flow.remote == flow.remote:
                return connection
        sock = socket.create_connection((flow.remote.host, flow.remote.port))
        if self._client is not None:
            sock = self._client.wrap_socket(sock, server_hostname=flow.remote.host)
        return self._take(sock, flow)

    def _accept(self) -> None:
        sock, source = self._listener.accept()
        if self._server is not None:
            sock.setblocking(True)
            sock = self._server.wrap_socket(sock, server_side=True)
        remote = Address(*source)
        self._take(sock, Flow(self.transport, self.address, remote, inbound=True))

    def _take(self, sock: socket.socket, flow: Flow) -> _Connection:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock, flow)
        self._connections[sock.fileno()] = connection
        self._watch(sock)
        return connection

    def _read(self, connection: _Connection) -> Received:
        found: Received = []
        for _ in range(MAX_READS):
            try:
                data = connection.sock.recv(65536)
            except _WAITS:
                break
            if not data:
                self._epoll.unregister(connection.sock.fileno())
                del self._connections[connection.sock.fileno()]
                connection.sock.close()
                break
            found += [
                (frame.data, connection.flow)
                for frame in connection.deframer.receive(data)
                if isinstance(frame, Complete)
            ]
        return found
