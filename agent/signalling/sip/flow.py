"""Where a message came from, and where it goes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.model.media import Address


@dataclass(frozen=True, slots=True)
class Flow:
    """One of our listeners and one peer, over one transport."""

    transport: str
    "`udp`, `tcp` or `tls`."
    local: Address
    "The listener, not the ephemeral port of a connection it opened."
    remote: Address
    domain: str = ""
    "The name whose certificate a TLS peer that we connect to must show (RFC 5922)."
    inbound: bool = field(default=False, compare=False)
    "The peer opened the connection: nobody listens on `remote`'s port."
    fallback: Address | None = field(default=None, compare=False)
    "Where to connect when the connection is gone (RFC 3261 section 18.2.2)."
    certificate: tuple[str, ...] = field(default=(), compare=False)
    "Names in the peer's certificate, if it was verified (RFC 5922 section 7.1)."

    @property
    def server(self) -> Address:
        """Where the peer listens, as far as that is known."""
        return self.fallback or self.remote

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits (RFC 3261 section 17)."""
        return self.transport != "udp"


class Served:
    """Where we are reached: an address for each transport and family that we listen on.

    It is also where what we send comes from.
    """

    def __init__(self, listeners: Iterable[tuple[str, Address]] = ()) -> None:
        """`listeners` are transports with our addresses; the first of a kind counts."""
        self._addresses: dict[tuple[str, bool], Address] = {}
        for transport, address in listeners:
            self._addresses.setdefault((transport, ":" in address.host), address)

    def towards(self, transport: str, remote: Address) -> Address | None:
        """Our address for `transport` to that peer; None if we do not serve it."""
        return self._addresses.get((transport, ":" in remote.host))
