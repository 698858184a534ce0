"""The network between user agents that have no sockets."""

import asyncio
from collections.abc import Callable

from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.useragent import UserAgent


class Switch:
    """Carries datagrams between user agents that have no sockets."""

    def __init__(self) -> None:
        self.log: list[tuple[Address, Address, bytes]] = []
        self._ports: dict[Address, UserAgent] = {}
        self._takers: dict[Address, Callable[[bytes], bytes | None]] = {}
        self.secure: set[Address] = set()
        "Who is spoken to over TLS."

    def flow(self, local: Address, remote: Address) -> Flow:
        secure = not self.secure.isdisjoint({local, remote})
        return Flow("tls" if secure else "udp", local, remote)

    def plug(
        self,
        agent: UserAgent,
        address: Address,
        take: Callable[[bytes], bytes | None] = lambda data: None,
    ) -> None:
        """Connect an agent; what `take` has an answer for it does not see."""
        self._takers[address] = take
        agent._transports = {address: self}  # type: ignore[dict-item]
        agent._streams.send = self.send  # type: ignore[method-assign]
        self._ports[address] = agent

    async def start(self) -> None:
        """A transport's; nothing to open."""

    def close(self) -> None:
        """A transport's; nothing to close."""

    def send(self, data: bytes, flow: Flow) -> None:
        self.log.append((flow.local, flow.remote, data))
        receiver = self._ports.get(flow.remote)
        if receiver is not None:
            back = self.flow(flow.remote, flow.local)
            if (answer := self._takers[flow.remote](data)) is not None:
                asyncio.get_running_loop().call_soon(self.send, answer, back)
                return
            asyncio.get_running_loop().call_soon(receiver._received, data, back)

    def sent(self, text: str, *, to: Address | None = None) -> list[str]:
        """Datagrams that begin with `text`."""
        return [
            data.decode()
            for _, destination, data in self.log
            if data.decode().startswith(text) and to in {None, destination}
        ]
