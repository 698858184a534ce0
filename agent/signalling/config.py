"""`[sip]`: where the agent listens."""

import ipaddress
from dataclasses import dataclass

import msgspec

from agent.model.media import Address


class SipConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signalling side of the daemon."""

    listen: tuple[str, ...]
    "Listeners: `udp:127.0.0.1:5060`. The first is used for calls going out."
    t1: float = 0.5
    "Seconds; the round-trip estimate of RFC 3261 section 17.1.1.1."
    stranger_rate: float = 5.0
    "Answers a second to one source that is no configured peer."
    max_calls: int = 2000
    "Calls at once, emergency calls apart."

    def __post_init__(self) -> None:
        if not self.listen:
            raise ValueError("listen must name at least one address")
        for entry in self.listen:
            parse_listen(entry)


@dataclass(frozen=True, slots=True)
class Listener:
    """One parsed `listen` entry."""

    transport: str
    address: Address


def parse_listen(entry: str) -> Listener:
    """`udp:127.0.0.1:5060` or `udp:[::1]:5060`. Raises ValueError, naming it."""
    transport, _, rest = entry.partition(":")
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        number = int(port)
        ipaddress.ip_address(host)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise ValueError(f"listen entry {entry!r} is not transport:address:port")
    if transport not in {"udp", "tcp"}:
        raise ValueError(f"listen entry {entry!r}: transport must be udp or tcp")
    return Listener(transport, Address(host, number))
