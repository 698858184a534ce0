"""The shell around the user agent core: sockets and one timer. It decides nothing.

Whoever calls a method of `core` calls `flush()` afterwards.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.sip.core import Event, RequestAnswered, UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import Uri
from agent.signalling.transport import TransportError, UdpTransport


class UserAgent:
    """Drives one UserAgentCore over the configured listeners."""

    def __init__(
        self,
        core: UserAgentCore,
        listeners: Sequence[Listener],
        on_event: Callable[[Event], None],
    ) -> None:
        self.core = core
        self._on_event = on_event
        self._listeners = [entry for entry in listeners if entry.transport == "udp"]
        self._transports = {
            listener.address: UdpTransport(listener, self._received)
            for listener in self._listeners
        }
        self._asked: dict[str, asyncio.Future[RequestAnswered]] = {}
        "Requests outside dialogs that await their final response."
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._flushing = False

    async def start(self) -> None:
        """Open every listener. Raises TransportError."""
        self._loop = asyncio.get_running_loop()
        for transport in self._transports.values():
            await transport.start()

    def close(self) -> None:
        """Close every listener."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in self._transports.values():
            transport.close()

    @property
    def now(self) -> float:
        """The loop's monotonic clock, which the core's deadlines refer to."""
        return self._loop.time()

    async def flow_to(self, uri: Uri) -> Flow:
        """The flow for a new call to `uri`.

        Raises TransportError if its host has no address we can reach.
        """
        port = uri.port or 5060
        host = uri.host
        try:
            ipaddress.ip_address(host)
        except ValueError:
            try:
                found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            except OSError as error:
                raise TransportError(
                    f"the host of a target has no address: {error}.",
                    hint="Check the target's URI and the host's name service.",
                ) from error
            host = str(found[0][4][0])
        remote = Address(host, port)
        for listener in self._listeners:
            if (":" in listener.address.host) == (":" in host):
                return Flow("udp", listener.address, remote)
        raise TransportError(
            f"no udp listener can reach {remote}.",
            hint="Add a [sip] listen entry of the same address family.",
        )

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
        for data, flow in self.core.data_to_send():
            transport = self._transports.get(flow.local)
            if transport is not None:
                transport.send(data, flow)
        self._rearm(self.core.get_timer())

    def _answered(self, event: RequestAnswered) -> None:
        asked = self._asked.pop(event.session, None)
        if asked is not None and not asked.done():
            asked.set_result(event)

    def _received(self, data: bytes, flow: Flow) -> None:
        self.core.receive(data, flow, self._loop.time())
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
        self.core.handle_timer(now=max(at, self._loop.time()))
        self.flush()
