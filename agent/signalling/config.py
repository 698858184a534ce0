"""`[sip]` and `[tls]`: where the agent listens, what it shows and whom it believes."""

import ipaddress
from dataclasses import dataclass
from typing import Literal

import msgspec

from agent.model.media import Address
from agent.signalling.sip.session_timer import MIN_SE


class SipConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signalling side of the daemon."""

    listen: tuple[str, ...]
    """Listeners: `udp:127.0.0.1:5060`, `tcp:[::1]:5060`, `tls:127.0.0.1:5061`.

    The first of a transport and address family is used for calls going out.
    """
    t1: float = 0.5
    "Seconds; the round-trip estimate of RFC 3261 section 17.1.1.1."
    stranger_rate: float = 5.0
    "Answers a second to one source that is no configured peer."
    challenge_rate: float = 20.0
    "Challenges a second to one source, of phones that must authenticate."
    lockout_failures: int = 10
    """Wrong passwords that lock a user out for a minute, then for twice as long.

    Five times as many lock out a source.
    """
    max_calls: int = 2000
    "Calls at once, emergency calls apart."
    nameservers: tuple[str, ...] = ()
    "Addresses, with a port or without; empty: the system's, and its hosts file."
    max_connections: int = 1000
    "TCP and TLS connections at once; strangers may have a quarter of them."
    connection_idle: float = 3600.0
    "Seconds without a message or keep-alive until a peer's connection is closed."
    session_expires: int = 1800
    "Seconds within which a session is refreshed, RFC 4028; 0 is never."
    min_se: int = MIN_SE
    "Seconds; the shortest such interval a peer may ask for."

    def __post_init__(self) -> None:
        if not self.listen:
            raise ValueError("listen must name at least one address")
        if self.min_se < MIN_SE:
            raise ValueError(f"min_se is less than {MIN_SE}")
        if self.session_expires and self.session_expires < self.min_se:
            raise ValueError("session_expires is less than min_se")
        for entry in self.listen:
            parse_listen(entry)
        if self.lockout_failures < 1:
            raise ValueError("lockout_failures must be at least 1")
        for entry in self.nameservers:
            parse_nameserver(entry)


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent shows on TLS connections, and what it believes."""

    certificate: str = ""
    "PEM file, the leaf first; used as server and as client."
    key: str = ""
    "PEM file of its private key, or `credential:NAME`; SIGHUP has both read again."
    ca: str = ""
    "PEM file of the authorities that are believed; empty: the system's."
    verify_client: Literal["off", "optional", "required"] = "off"
    "Whether who connects must show a certificate; `tls:` in `match` needs one."

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key go together")


@dataclass(frozen=True, slots=True)
class Listener:
    """One parsed `listen` entry."""

    transport: str
    address: Address


def parse_listen(entry: str) -> Listener:
    """`udp:127.0.0.1:5060` or `udp:[::1]:5060`. Raises ValueError, naming it."""
    transport, _, rest = entry.partition(":")
    address = _parse_address(rest)
    if address is None:
        raise ValueError(f"listen entry {entry!r} is not transport:address:port")
    if transport not in {"udp", "tcp", "tls"}:
        raise ValueError(f"listen entry {entry!r}: transport must be udp, tcp or tls")
    return Listener(transport, address)


def parse_nameserver(entry: str) -> Address:
    """`192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:53`. Raises ValueError."""
    try:
        return Address(str(ipaddress.ip_address(entry)), 53)
    except ValueError:
        address = _parse_address(entry)
    if address is None:
        raise ValueError(f"nameserver {entry!r} is no address or address:port")
    return address


def _parse_address(text: str) -> Address | None:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        number = int(port)
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return Address(host, number) if 0 < number < 65536 else None
