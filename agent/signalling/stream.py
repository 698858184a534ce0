"""SIP over TCP and TLS: sockets on one side, whole messages on the other.

What a connection may do and how long it lasts is decided in `connections`.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from agent.common.tasks import TaskSet
from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.connection import Verdict
from agent.signalling.connections import ConnectionTable, reopening
from agent.signalling.guard import Guard, network_of
from agent.signalling.kept import Given, KeptConnections, unwritten
from agent.signalling.sip.certificate import names_in, speaks_for
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.framing import Broken, Complete, Ping
from agent.signalling.sip.limits import LimitsOf
from agent.signalling.stream_connection import Stream
from agent.signalling.tcp import listen, tune
from agent.signalling.tls import TlsContexts, explain
from agent.signalling.transport import TransportError

HANDSHAKE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
"For a connection of ours, handshake included: the next target waits for it."
MAX_WAITING: Final = 256
"Messages that may wait for one connection to be opened."
MUCH: Final = 64 * 1024
"Octets of one read after which the other connections, and all else, have their turn."
TOO_MANY: Final = "too many messages"
TOO_OFTEN: Final = "too many connections in a short time"
_LOG_RATE: Final = 1.0
_LOG_BURST: Final = 20


@dataclass(slots=True)
class _Opening:
    """A connection being opened, with what waits for it."""

    flows: set[Flow] = field(default_factory=set)
    "Those that messages asked for; all of them fail if this does."
    data: list[bytes] = field(default_factory=list)


class StreamTransport:
    """All TCP and TLS listeners and connections of one user agent.

    `allowance(flow)` says how many messages and keep-alives of one read are looked at;
    what brings more is closed. `on_message(data, flow)` gets each message;
    `on_read(flow, count)` follows after all of one read, and says for how many seconds
    nothing more shall be read.
    `on_failed(flow)` hears that something could not be sent on a flow, `on_lost(flow)`
    that its connection is gone.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        table: ConnectionTable,
        tls: TlsContexts | None,
        limits_of: LimitsOf,
        allowance: Callable[[Flow], int | None] = lambda _: None,
        on_message: Callable[[bytes, Flow], None],
        on_read: Callable[[Flow, int], float],
        on_failed: Callable[[Flow], None],
        on_lost: Callable[[Flow], None],
        held: Mapping[Listener, socket.socket] | None = None,
        kept: KeptConnections | None = None,
        given: Mapping[str, Given] | None = None,
    ) -> None:
        """`held`: listening sockets, which somebody else has opened for a listener.

        `kept`: connections that shall outlive us; then what is sent waits for
        `write_due`. `given`: those of another process, by their names there.
        """
        self.kept = kept
        self._given = dict(given or {})
        self._due: dict[Stream, bytes] = {}
        self.table = table
        self.tls = tls
        self._listeners = listeners
        self._limits_of = limits_of
        self._allowance = allowance
        self._on_message = on_message
        self._on_read = on_read
        self._on_failed = on_failed
        self._on_lost = on_lost
        self.listening = {e: s for e, s in (held or {}).items() if e in listeners}
        "The socket of each listener, once there is one."
        self._streams: dict[str, Stream] = {}
        self._opening: dict[Flow, _Opening] = {}
        self._tasks = TaskSet(self._task_failed)
        self._log_guard = Guard(rate=_LOG_RATE, burst=_LOG_BURST, max_sources=1000)
        self._log = structlog.get_logger()

    @property
    def now(self) -> float:
        return self._loop.time()

    # -- life -------------------------------------------------------------------

    async def start(self) -> None:
        """Open every listener. Raises TransportError."""
        self._loop = asyncio.get_running_loop()
        for listener in self._listeners:
            if listener.transport == "tls" and self.tls is None:
                raise TransportError(
                    f"cannot listen on tls {listener.address} without a certificate.",
                    hint="Set [tls] certificate and key.",
                )
            sock = self.listening.get(listener) or listen(listener)
            self.listening[listener] = sock
            self._tasks.spawn(
                self._accept_all(sock, listener), name=f"accept-{listener.address}"
            )

        for name, one in self._given.items():
            await self._adopt(name, one)

    async def _adopt(self, name: str, given: Given) -> None:
        """Go on with a connection of another process, if nothing of it was lost."""
        flow, rest = given.saved.flow, unwritten(given)
        if rest is None:
            self._log.info("connection_not_taken_over", remote=str(flow.remote))
            given.sock.close()
            if self.kept is not None:
                self.kept.let_go(name)
            return
        self.table.restore(name, flow.remote.host, self._limits_of(flow).name)
        given.sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        stream = Stream(self, name, flow, given.saved)
        await self._loop.connect_accepted_socket(lambda: stream, given.sock)
        stream.write(rest)

    def close(self) -> None:
        """Close listeners and connections; what was sent before may still go."""
        self._tasks.cancel()
        for sock in self.listening.values():
            sock.close()
        for stream in list(self._streams.values()):
            stream.transport.close()

    # -- connections that peers open ----------------------------------------------

    async def _accept_all(self, sock: socket.socket, listener: Listener) -> None:
        while True:
            try:
                accepted, address = await self._loop.sock_accept(sock)
            except OSError as error:
                # Out of file descriptors, most likely: what is up needs ours.
                self._log.error("accept_failed", reason=str(error))
                await asyncio.sleep(1)
                continue
            remote = Address(address[0], address[1])
            flow = Flow(listener.transport, listener.address, remote, inbound=True)
            limits = self._limits_of(flow)
            # A handshake costs more than a message, and places are soon free again.
            often = self._allowance(flow) == 0
            name = None
            if often:
                self.table.stats.refused["rate"] += 1
            else:
                source = network_of(remote.host)
                name = self.table.admit(source, limits.name, limits.connections)
            if name is None:
                accepted.close()
                self._refused(flow, TOO_OFTEN if often else "too many connections")
                continue
            if not limits.name:
                self._on_read(flow, 1)
            self._tasks.spawn(self._accept(accepted, flow, name), name=f"tcp-{name}")

    async def _accept(self, sock: socket.socket, flow: Flow, name: str) -> None:
        tune(sock)
        stream = Stream(self, name, flow)
        secure = flow.transport == "tls" and self.tls is not None
        try:
            await self._loop.connect_accepted_socket(
                lambda: stream,
                sock,
                ssl=self.tls.server if secure and self.tls else None,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if secure else None,
            )
        except OSError as error:
            self.table.gone(name, "handshake")
            self._refused(flow, explain(error) if secure else "connection lost")

    # -- sending, and connections that we open --------------------------------------

    def send(self, data: bytes, flow: Flow) -> None:
        """Send one message on the flow's connection, opening one if there is none."""
        name = self.table.find(flow)
        target: Flow | None = flow
        if name is None:
            target = reopening(flow)
            name = None if target is None else self.table.find(target)
        if name is not None:
            self._streams[name].send(data)
        elif target is None:
            self.table.stats.unsent += 1
            self._loop.call_soon(self._on_failed, flow)
        else:
            self._wait(data, flow, target)

    def write_due(self) -> None:
        """Write what was sent on connections that shall outlive us."""
        due, self._due = self._due, {}
        for stream, data in due.items():
            stream.write(data)

    def delay(self, stream: Stream, data: bytes) -> None:
        """Have `write_due` write it."""
        self._due[stream] = self._due.get(stream, b"") + data

    def _wait(self, data: bytes, flow: Flow, target: Flow) -> None:
        opening = self._opening.get(target)
        if opening is None:
            opening = self._opening[target] = _Opening()
            name = self.table.begin(self._limits_of(target).name, target)
            self._tasks.spawn(self._connect(name, target), name=f"tcp-{name}")
        opening.flows.add(flow)
        if len(opening.data) < MAX_WAITING:
            opening.data.append(data)
        else:
            self.table.stats.unsent += 1

    async def _connect(self, name: str, flow: Flow) -> None:
        stream = Stream(self, name, flow)
        try:
            await self._open(stream, flow)
        except (OSError, TransportError) as error:
            secure = flow.transport == "tls"
            self.table.stats.connect_failures += 1
            self.table.gone(name, "handshake")
            self._log.warning(
                "tls_refused" if secure else "connect_failed",
                remote=str(flow.remote),
                reason=_why(error),
                outgoing=True,
            )
            opening = self._opening.pop(flow)
            self.table.stats.unsent += len(opening.data)
            for failed in opening.flows:
                self._on_failed(failed)
        else:
            for data in self._opening.pop(flow).data:
                stream.send(data)
            self._on_read(stream.flow, 0)

    async def _open(self, stream: Stream, flow: Flow) -> None:
        """Connect. Raises OSError or TransportError."""
        secure = flow.transport == "tls"
        if secure and self.tls is None:
            raise TransportError("TLS is not configured.", hint="Fill in [tls].")
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._loop.create_connection(
                lambda: stream,
                flow.remote.host,
                flow.remote.port,
                local_addr=(flow.local.host, 0),
                ssl=self.tls.client if secure and self.tls else None,
                server_hostname=(flow.domain or flow.remote.host) if secure else None,
            )
        if stream.refused:
            raise TransportError(stream.refused, hint="")
        tune(stream.transport.get_extra_info("socket"))

    # -- what the streams say -------------------------------------------------------

    def made(self, stream: Stream) -> None:
        """A connection is up, its handshake done."""
        flow = stream.flow
        if flow.transport == "tls":
            shown = stream.transport.get_extra_info("ssl_object").getpeercert()
            names = names_in(shown) if shown else ()
            flow = replace(flow, certificate=names)
            if not flow.inbound and not speaks_for(
                names, flow.domain or flow.remote.host
            ):
                stream.refused = "the certificate has another name"
                stream.transport.abort()
                return
        stream.flow = flow
        self._streams[stream.name] = stream
        stream.connection = self.table.opened(stream.name, flow, self.now)
        limits = self._limits_of(flow)
        if self.kept is not None and flow.transport == "tcp":
            self._keep(self.kept, stream, known=bool(limits.name) or not flow.inbound)
        share = limits.connections if flow.inbound else 0
        if self.table.identified(stream.name, limits.name, share):
            self._on_read(flow, 0)
        else:
            self._refused(flow, "too many connections")
            self.abort(stream, "too many connections")

    def _keep(self, kept: KeptConnections, stream: Stream, *, known: bool) -> None:
        """Have a connection outlive us, unless a stranger opened it."""
        if stream.saved is not None and stream.connection is not None:
            stream.connection.restore(stream.saved.unread, self.now)
            kept.adopt(stream.name, stream.saved)
        elif known:
            sock = stream.transport.get_extra_info("socket")
            kept.keep(stream.name, stream.flow, sock)

    def received(self, stream: Stream, data: bytes) -> None:
        """Octets have come."""
        if stream.connection is None or stream.name not in self._streams:
            return
        frames = stream.connection.receive(data, self.now)
        self.table.settle(stream.name)
        if self.kept is not None:
            self.kept.received(stream.name, len(data), stream.connection.unread)
        allowed = self._allowance(stream.flow)
        fault = "" if allowed is None or len(frames) <= allowed else TOO_MANY
        pings = 0
        for frame in frames[:allowed]:
            if isinstance(frame, Complete):
                self._on_message(frame.data, stream.flow)
            elif isinstance(frame, Ping):
                pings += 1
            elif isinstance(frame, Broken):
                fault = frame.fault
                if frame.head:
                    self._on_message(frame.head, stream.flow)
        if pings:
            # At once: a system call for each is what somebody may be after.
            self.table.stats.pings += pings
            stream.write_at_once(b"\r\n" * pings)
        pause = self._on_read(stream.flow, len(frames))
        if fault:
            self._refused(stream.flow, fault)
            self.drop(stream, fault)
        elif pause or len(data) >= MUCH:
            # The loop would read on, megabytes of it, before anybody else has a turn.
            stream.transport.pause_reading()
            self._loop.call_later(pause, stream.resume)

    def drop(self, stream: Stream, reason: str) -> None:
        """End a connection, once what was written to it is gone."""
        self._forget(stream, reason)
        stream.transport.close()

    def abort(self, stream: Stream, reason: str) -> None:
        """End a connection at once."""
        self._forget(stream, reason)
        stream.transport.abort()

    def lost(self, stream: Stream, error: Exception | None) -> None:
        """A connection has ended."""
        if isinstance(error, ssl.SSLError):
            self._refused(stream.flow, explain(error))
        self._forget(stream, "lost" if error else "closed by the peer")

    def _forget(self, stream: Stream, reason: str) -> None:
        if self._streams.pop(stream.name, None) is None:
            return
        self.table.gone(stream.name, reason)
        if self.kept is not None:
            self.kept.gone(stream.name)
        self._loop.call_soon(self._on_lost, stream.flow)

    # -- time -----------------------------------------------------------------------

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return self.table.get_timer()

    def handle_timer(self, now: float) -> None:
        """Ping or close what is due."""
        for name, verdict in self.table.handle_timer(now):
            stream = self._streams[name]
            if verdict is Verdict.PING:
                stream.write_at_once(b"\r\n\r\n")
                continue
            if verdict is Verdict.SLOW:
                self._refused(stream.flow, verdict)
            self.abort(stream, verdict)

    def _refused(self, flow: Flow, reason: str) -> None:
        """Say so in the log, but never as often as somebody can make us."""
        if self._log_guard.allow(flow.remote.host, self.now):
            self._log.warning(
                "tls_refused" if flow.transport == "tls" else "connection_refused",
                remote=str(flow.remote),
                reason=str(reason),
            )

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)


def _why(error: Exception) -> str:
    """Why a connection of ours did not come about; not all errors have a text."""
    if isinstance(error, ssl.SSLError):
        return explain(error)
    in_time = not isinstance(error, TimeoutError)
    return str(error) or (explain(error) if in_time else "no connection in time")
