"""The shell around the user agent core: sockets and one timer. It decides nothing.

Whoever calls a method of `core` calls `flush()` afterwards.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Mapping, Sequence

import structlog

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.connections import ConnectionStats, ConnectionTable
from agent.signalling.gate import Gate, GateStats
from agent.signalling.guard import Guard
from agent.signalling.kept import Given, KeptConnections
from agent.signalling.resolver import Resolver, ResolverStats
from agent.signalling.sip.core import (
    Event,
    RequestAnswered,
    SessionId,
    UserAgentCore,
)
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import UNLIMITED, LimitsOf
from agent.signalling.sip.message import Request
from agent.signalling.sip.resolution import Target, UnsupportedTransportError
from agent.signalling.sip.timers import earliest
from agent.signalling.sip.uri import Uri
from agent.signalling.stream import StreamTransport
from agent.signalling.tls import TlsContexts
from agent.signalling.transport import TransportError, UdpTransport


class UserAgent:
    """Drives one UserAgentCore over the configured listeners.

    `limits_of` says what the other end of a flow may have, and `is_emergency` which
    numbers pass all the same, `in_emergency` which Call-IDs are those of such calls;
    `certificate_names`, under which name the host of a URI shows its certificate, where
    that is another one.
    """

    def __init__(
        self,
        core: UserAgentCore,
        listeners: Sequence[Listener],
        on_event: Callable[[Event], None],
        *,
        tls: TlsContexts | None = None,
        resolver: Resolver | None = None,
        certificate_names: Mapping[str, str] | None = None,
        limits_of: LimitsOf = lambda _: UNLIMITED,
        is_emergency: Callable[[str], bool] = lambda _: False,
        in_emergency: Callable[[str], bool] = lambda _: False,
        max_connections: int = 1000,
        connection_idle: float = 3600.0,
        sockets: Mapping[str, socket.socket] | None = None,
        kept: KeptConnections | None = None,
        connections: Mapping[str, Given] | None = None,
    ) -> None:
        self.core = core
        self._on_event = on_event
        self._listeners = tuple(listeners)
        self._served = [
            (entry.transport, 6 if ":" in entry.address.host else 4)
            for entry in listeners
        ]
        self._resolver = resolver or Resolver(rng=random.SystemRandom())
        self._certificate_names = certificate_names or {}
        core.serve((entry.transport, entry.address) for entry in listeners)
        held = {
            listener: sock
            for name, listener in _named(listeners).items()
            if (sock := (sockets or {}).get(name)) and _is_of(sock, listener)
        }
        self._loop = asyncio.get_running_loop()
        self._started = False
        self.before_leaving: Callable[[], None] = _nothing
        """Called before anything leaves.

        What peers may do as soon as they have it shall find all in its place.
        """
        self.before_sending: Callable[[set[SessionId]], None] | None = None
        """Hears which sessions have changed, if the core tracks them.

        After the events, and before what was sent of it leaves.
        """
        self._transports = {
            listener.address: UdpTransport(listener, self._received, held.get(listener))
            for listener in listeners
            if listener.transport == "udp"
        }
        self._asked: dict[str, asyncio.Future[RequestAnswered]] = {}
        "Requests outside dialogs that await their final response."
        self._gate = Gate(limits_of, is_emergency, in_emergency)
        self._streams = StreamTransport(
            [entry for entry in listeners if entry.transport != "udp"],
            table=ConnectionTable(
                max_connections=max_connections, idle_seconds=connection_idle
            ),
            tls=tls,
            limits_of=limits_of,
            allowance=lambda flow: self._gate.allowance(flow, self._loop.time()),
            on_message=self._message,
            on_read=self._read,
            on_failed=self._failed,
            on_lost=self._lost,
            held=held,
            kept=kept,
            given=connections,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._flushing = False
        self._log_guard = Guard(rate=1 / 60, burst=1, max_sources=1000)
        self._log = structlog.get_logger()

    async def start(self) -> None:
        """Open every listener. Raises TransportError.

        What the core is to send waits until then.
        """
        for transport in self._transports.values():
            await transport.start()
        await self._streams.start()
        self._started = True

    def sockets(self) -> dict[str, socket.socket]:
        """The sockets of the listeners by name, as another user agent takes them."""
        udp = {one.listener: one.socket for one in self._transports.values()}
        held = udp | self._streams.listening
        return {
            name: sock
            for name, listener in _named(self._listeners).items()
            if (sock := held.get(listener)) is not None
        }

    def close(self) -> None:
        """Close every listener."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in self._transports.values():
            transport.close()
        self._streams.close()

    @property
    def connections(self) -> ConnectionStats:
        """Counters of TCP and TLS connections."""
        return self._streams.table.stats

    @property
    def gate_stats(self) -> GateStats:
        """Counters of what was not read."""
        return self._gate.stats

    @property
    def resolver_stats(self) -> ResolverStats:
        """Counters of the name service."""
        return self._resolver.stats

    @property
    def now(self) -> float:
        """The loop's monotonic clock, which the core's deadlines refer to."""
        return self._loop.time()

    async def flows_to(self, uri: Uri) -> list[Flow]:
        """The flows for a new call to `uri`, the first to be tried first (RFC 3263).

        Those on which nothing answered lately come last. Raises TransportError if
        there is none.
        """
        try:
            targets = await self._resolver.targets(uri, self._served)
        except UnsupportedTransportError as error:
            raise TransportError(
                str(error),
                hint="Correct the target's URI, or add a [sip] listen entry.",
            ) from error
        flows = [self._flow_to(target, uri) for target in targets]
        if not flows:
            raise TransportError(
                "the host of a target has no address that a listener of ours reaches.",
                hint="Check the target's URI, the name service, and [sip] listen.",
            )
        return self.core.outages.order(flows, self.now)

    def _flow_to(self, target: Target, uri: Uri) -> Flow:
        version = ":" in target.host
        local = next(
            listener.address
            for listener in self._listeners
            if listener.transport == target.transport
            and (":" in listener.address.host) == version
        )
        host = uri.host.lower()
        domain = self._certificate_names.get(host, host)
        return Flow(
            target.transport,
            local,
            Address(target.host, target.port),
            domain if target.transport == "tls" else "",
        )

    def replace_certificate_names(self, names: Mapping[str, str]) -> None:
        """Expect other names of peers in their certificates from now on."""
        self._certificate_names = names

    async def ask(self, request: Request, flow: Flow) -> RequestAnswered:
        """Send a request outside dialogs and wait for its final response.

        It comes at the latest when the transaction gives up, 64*T1 later. Raises
        LocalSipError if the request cannot be written.
        """
        name = self.core.request(request, flow, self.now)
        answer: asyncio.Future[RequestAnswered] = self._loop.create_future()
        self._asked[name] = answer
        self.flush()
        return await answer

    def flush(self) -> None:
        """Deliver, send, re-arm: to be called after anything touched the core."""
        if self._flushing:
            return  # an event's consumer touched the core: the outer loop goes on
        self._flushing = True
        try:
            while (event := self.core.next_event()) is not None:
                if isinstance(event, RequestAnswered):
                    self._answered(event)
                else:
                    self._on_event(event)
        finally:
            self._flushing = False
        if not self._started:
            return
        outgoing = self.core.data_to_send()
        if outgoing:
            self.before_leaving()
        for data, flow in outgoing:
            if flow.reliable:
                self._streams.send(data, flow)
        if self.before_sending is not None:
            self.before_sending(self.core.touched())
        self._streams.write_due()
        for data, flow in outgoing:
            if flow.reliable:
                continue
            if (transport := self._transports.get(flow.local)) is not None:
                transport.send(data, flow)
        self._rearm(earliest(self.core.get_timer(), self._streams.get_timer()))

    def _message(self, data: bytes, flow: Flow) -> None:
        self.core.receive(data, flow, self._loop.time())

    def _answered(self, event: RequestAnswered) -> None:
        asked = self._asked.pop(event.session, None)
        if asked is not None and not asked.done():
            asked.set_result(event)

    def _received(self, data: bytes, flow: Flow) -> None:
        now = self._loop.time()
        if self._gate.admit(data, flow, now):
            self._message(data, flow)
            self.flush()
        elif self._log_guard.allow(flow.remote.host, now):
            self._log.warning("over_rate", remote=str(flow.remote))

    def _read(self, flow: Flow, count: int) -> float:
        self.flush()
        return self._gate.pause(flow, count, self._loop.time()) if count else 0.0

    def _failed(self, flow: Flow) -> None:
        self.core.transport_failed(flow, self._loop.time())
        self.flush()

    def _lost(self, flow: Flow) -> None:
        self.core.connection_lost(flow, self._loop.time())
        self.flush()

    def _rearm(self, at: float | None) -> None:
        if self._timer is not None:
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._fire, at)

    def _fire(self, at: float) -> None:
        self._timer = None
        # The loop may wake a clock tick early; the core must see a time that is due.
        now = max(at, self._loop.time())
        self.core.handle_timer(now)
        self._streams.handle_timer(now)
        self.flush()


def _is_of(sock: socket.socket, listener: Listener) -> bool:
    """Whether a socket is what the listener, as it is configured now, would open."""
    kind = socket.SOCK_DGRAM if listener.transport == "udp" else socket.SOCK_STREAM
    address = listener.address
    return sock.type == kind and sock.getsockname()[:2] == (address.host, address.port)


def _named(listeners: Sequence[Listener]) -> dict[str, Listener]:
    return {f"sip-{index}": listener for index, listener in enumerate(listeners)}


def _nothing() -> None:
    """Nobody has anything to put in its place."""
