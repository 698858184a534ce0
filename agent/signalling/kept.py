"""TCP connections that outlive our process, so that the next one can go on with them.

A descriptor of each is kept by somebody else, and a record says how far it had come:
what was read, what was or is just about to be written, and what has come of a message
that is not whole. It is written together with what that reading has led to. The kernel
counts what really was read and written, so the next process knows where in between the
last one died: it writes what that one had noted and not written, if in the middle of a
message. Only what was read and not noted is lost, and ends the connection.
"""

import socket
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from agent.common.errors import AgentError
from agent.signalling.progress import Progress, TcpSocket, progress_of
from agent.signalling.sip.flow import Flow

CONNECTION_VERSION: Final = 2
STORED: Final = "tcp-"
"How the names of descriptors begin; that of the connection follows."
MAX_UNWRITTEN: Final = 64 * 1024
"Octets noted of what is to be written: a peer so far behind is left alone, not kept."


class DescriptorStore(Protocol):
    """Somebody who keeps descriptors for us; both raise OSError."""

    def put(self, name: str, fd: int) -> None: ...
    def remove(self, name: str) -> None: ...


class SavedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """How far a connection had come."""

    version: int = CONNECTION_VERSION
    flow: Flow
    read: int
    written: int
    unread: bytes
    "Of a message that has begun."
    unwritten: bytes = b""
    "The last of `written`, which may not have been written after all."


class Given(NamedTuple):
    """A connection of another process."""

    saved: SavedConnection
    sock: socket.socket


class ConnectionStateError(AgentError):
    """Nothing is known of a connection, or nothing that we understand."""

    hint = "Nothing need be done: it is closed, and its peer opens another."


def decode_connection(data: bytes) -> SavedConnection:
    """What `KeptConnections.changed` told. Raises ConnectionStateError."""
    try:
        saved = msgspec.msgpack.decode(data, type=SavedConnection)
    except msgspec.ValidationError as error:
        raise ConnectionStateError(
            f"A connection is not understood: {error}."
        ) from None
    if saved.version != CONNECTION_VERSION:
        raise ConnectionStateError(f"A connection is of version {saved.version}.")
    return saved


def unwritten(given: Given) -> bytes | None:
    """What is yet to be written; None: the connection cannot go on.

    That is where something was read that nobody knows of.
    """
    saved, sock = given
    try:
        progress = progress_of(sock)
    except OSError:
        return None
    missing = saved.written - progress.written
    if progress.read != saved.read or not 0 <= missing <= len(saved.unwritten):
        return None
    return saved.unwritten[len(saved.unwritten) - missing :]


class _Kept:
    def __init__(self, flow: Flow, progress: Progress) -> None:
        self.flow = flow
        self.read, self.written = progress
        self.unread = self.unwritten = b""


class KeptConnections:
    """Those of one user agent, by their names in its table."""

    def __init__(self, store: DescriptorStore) -> None:
        self._store = store
        self._kept: dict[str, _Kept] = {}
        self._changed: set[str] = set()
        self._log = structlog.get_logger()

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def keep(self, name: str, flow: Flow, sock: TcpSocket) -> None:
        """A connection is up, and nothing was read or written yet."""
        try:
            progress = progress_of(sock)
            self._store.put(STORED + name, sock.fileno())
        except OSError as error:
            # It works as well; only it will end with us.
            self._log.warning("connection_not_kept", reason=str(error))
            return
        self._kept[name] = _Kept(flow, progress)
        self._changed.add(name)

    def adopt(self, name: str, saved: SavedConnection) -> None:
        """One of another process is ours now; its descriptor is kept already."""
        kept = _Kept(saved.flow, Progress(saved.read, saved.written))
        kept.unread, kept.unwritten = saved.unread, saved.unwritten
        self._kept[name] = kept

    def received(self, name: str, count: int, unread: bytes) -> None:
        """Octets were read, of which `unread` begins a message."""
        if (kept := self._kept.get(name)) is not None:
            kept.read += count
            kept.unread = unread
            self._changed.add(name)

    def sent(self, name: str, data: bytes) -> None:
        """Octets were written, or will be as soon as `changed` was asked."""
        if (kept := self._kept.get(name)) is not None:
            kept.written += len(data)
            kept.unwritten = (kept.unwritten + data)[-MAX_UNWRITTEN:]
            self._changed.add(name)

    def wrote(self, name: str, pending: int) -> None:
        """All that was sent was written, but for the last `pending` octets."""
        if (kept := self._kept.get(name)) is not None:
            kept.unwritten = kept.unwritten[-pending:] if pending else b""

    def gone(self, name: str) -> None:
        """A connection has ended."""
        if self._kept.pop(name, None) is not None:
            self.let_go(name)

    def let_go(self, name: str) -> None:
        """Have nobody keep anything of that connection."""
        self._changed.add(name)
        try:
            self._store.remove(STORED + name)
        except OSError as error:
            self._log.warning("connection_still_kept", reason=str(error))

    def changed(self) -> dict[str, bytes | None]:
        """What to note of which connection, since this was asked; None: nothing."""
        changed, self._changed = self._changed, set()
        return {name: self._state(name) for name in changed}

    def _state(self, name: str) -> bytes | None:
        kept = self._kept.get(name)
        if kept is None:
            return None
        return msgspec.msgpack.encode(
            SavedConnection(
                flow=kept.flow,
                read=kept.read,
                written=kept.written,
                unread=kept.unread,
                unwritten=kept.unwritten,
            )
        )
