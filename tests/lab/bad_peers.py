"""Peers that open or take connections as nobody should.

They block, for asyncio's streams send no alerts: to be run in threads.
"""

import contextlib
import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.daemon import CALLER, SERVICE

_TIMEOUT = 20.0
_COUNT = itertools.count(1)


def message(method: str, host: str, transport: str = "TLS") -> bytes:
    """A request outside dialogs that nothing is wrong with."""
    name = f"bad{next(_COUNT)}"
    return (
        f"{method} sip:{SERVICE}@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {host}:5061;branch=z9hG4bK{name}\r\n"
        f"From: <sip:{CALLER}@{host}>;tag={name}\r\nTo: <sip:{SERVICE}@127.0.0.1>\r\n"
        f"Call-ID: {name}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
        f"Contact: <sip:{CALLER}@{host}:5061>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@dataclass(frozen=True)
class BadPeer:
    """One place to come from, and one to go to."""

    host: str
    port: int

    def connect(self) -> socket.socket:
        """A TCP connection."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=_TIMEOUT, source_address=(self.host, 0)
        )

    @contextlib.contextmanager
    def shake_hands(self, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
        """A TLS connection. Raises ssl.SSLError if either end wants none."""
        with (
            self.connect() as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            yield secure

    def ask(self, context: ssl.SSLContext, method: str) -> bytes:
        """Send a request over TLS; the status that answers it, nothing if none does.

        In TLS 1.3 a client hears that it was refused only once it reads. Raises
        TimeoutError if it hears nothing.
        """
        try:
            with self.shake_hands(context) as secure:
                secure.sendall(message(method, self.host))
                while (data := secure.recv(65536)).startswith(b"SIP/2.0 1"):
                    pass
                return _status(data)
        except (ssl.SSLError, ConnectionError):
            return b""

    def say(self, data: bytes) -> bytes:
        """Send octets over TCP; the status that answers before the other end closes."""
        with self.connect() as sock:
            sock.sendall(data)
            return _status(_read_all(sock))

    def drip(self, data: bytes, context: ssl.SSLContext | None = None) -> float:
        """Send an octet a second; returns how many seconds that was let go on.

        Over TLS if there is a context. Of no data at all: only wait.
        """
        begun = time.monotonic()
        with contextlib.ExitStack() as stack:
            sock: socket.socket = stack.enter_context(
                self.connect() if context is None else self.shake_hands(context)
            )
            octets = iter(data)
            sock.settimeout(1.0)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while time.monotonic() - begun < _TIMEOUT:
                    sock.sendall(bytes(itertools.islice(octets, 1)))
                    with contextlib.suppress(TimeoutError):
                        if not sock.recv(100):
                            break
        return time.monotonic() - begun


@dataclass
class Flood:
    """Connections that are opened from some addresses and do nothing."""

    hosts: list[str]
    port: int
    each: int

    def __post_init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def open(self) -> None:
        """Open all of them."""
        for host in self.hosts:
            peer = BadPeer(host, self.port)
            self._sockets += [peer.connect() for _ in range(self.each)]

    def held(self) -> int:
        """How many the other end keeps."""
        return sum(_is_open(sock) for sock in self._sockets)

    def close(self) -> None:
        """Close all of them."""
        for sock in self._sockets:
            sock.close()


def serve_once(listener: socket.socket, context: ssl.SSLContext | None) -> bytes:
    """Take one connection; returns what came over TLS, if that was agreed on.

    Whatever it gets it answers with a line of SIP. Without a context it speaks no TLS.
    """
    listener.settimeout(_TIMEOUT)
    plain, _ = listener.accept()
    plain.settimeout(_TIMEOUT)
    with plain:
        if context is None:
            plain.recv(65536)
            plain.sendall(b"SIP/2.0 400 Bad Request\r\n\r\n")
            return b""
        try:
            with context.wrap_socket(plain, server_side=True) as secure:
                return _read_all(secure)
        except (ssl.SSLError, ConnectionError):
            return b""


def _status(data: bytes) -> bytes:
    return data[8:11] if data.startswith(b"SIP/2.0 ") else b""


def _is_open(sock: socket.socket) -> bool:
    sock.settimeout(0.0)
    try:
        return bool(sock.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def _read_all(sock: socket.socket) -> bytes:
    found = bytearray()
    try:
        while data := sock.recv(65536):
            found += data
    except ConnectionError:
        pass
    return bytes(found)
