"""Where a message came from, and where it goes."""

from dataclasses import dataclass

from agent.model.media import Address


@dataclass(frozen=True, slots=True)
class Flow:
    """One of our listeners and one peer, over one transport."""

    transport: str
    "`udp`, `tcp` or `tls`."
    local: Address
    "The listener, not the ephemeral port of a connection it opened."
    remote: Address

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits (RFC 3261 section 17)."""
        return self.transport != "udp"
