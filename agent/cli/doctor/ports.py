"""Whether the ports of SIP and RTP are the daemon's, and suffice."""

import errno
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.call.config import certificate_name, parse_match
from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.model.media import Address
from agent.signalling.config import Listener, parse_listen

PORTS_OF_A_CALL: Final = 4
"RTP and RTCP, of two legs."
SAMPLED: Final = 64
"Ports of the RTP range that are tried: enough to notice who else uses it."


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge listeners, then the range of RTP."""
    listeners = [parse_listen(entry) for entry in patient.config.sip.listen]
    for listener in listeners:
        yield _listener(patient, listener, found)
    yield from _range(patient, listeners, found)
    yield from _addresses(patient, found)
    yield from _kernel(patient, found)


def _listener(patient: Patient, listener: Listener, found: Findings) -> Finding:
    place = f"{listener.transport}:{listener.address}"
    kind = "udp" if listener.transport == "udp" else "tcp"
    refusal = bind(kind, listener.address)
    if refusal == errno.EADDRINUSE:
        if patient.running:
            return found.right(f"{place} is in use, by the daemon as it should be")
        return found.wrong(
            f"{place} is taken by another program",
            f"`ss -l{kind[0]}np sport = :{listener.address.port}` names it: end it, or"
            " change sip.listen.",
        )
    if refusal == errno.EADDRNOTAVAIL:
        return found.wrong(
            f"{place}: this host has no such address",
            "`ip address` lists those it has: correct sip.listen.",
        )
    if refusal == errno.EACCES:
        return found.warning(
            f"{place}: ports below 1024 are not for everybody",
            "Run doctor as the daemon's user, or give the unit CAP_NET_BIND_SERVICE.",
        )
    if refusal:
        return found.wrong(
            f"{place} cannot be bound: {errno.errorcode.get(refusal, refusal)}",
            "Correct sip.listen.",
        )
    if patient.running:
        return found.wrong(
            f"the daemon runs, and does not listen at {place}",
            "Restart it: it was started with another configuration.",
        )
    return found.right(f"{place} is free")


def _range(
    patient: Patient, listeners: list[Listener], found: Findings
) -> Iterator[Finding]:
    low, high = patient.config.media.ports
    room = (high - low + 1) // PORTS_OF_A_CALL
    if room < patient.config.sip.max_calls:
        yield found.warning(
            f"media.ports {low} to {high} suffice for {room} calls, and sip.max_calls"
            f" is {patient.config.sip.max_calls}",
            "Widen media.ports, or lower sip.max_calls.",
        )
    else:
        yield found.right(f"media.ports suffice for {room} calls")
    for listener in listeners:
        if low <= listener.address.port <= high:
            yield found.wrong(
                f"{listener.transport}:{listener.address} lies within media.ports",
                "Move one of them: a call's audio will want that port.",
            )
    if patient.running:
        return
    address = patient.config.media.address
    step = max(2, (high - low) // SAMPLED // 2 * 2)
    tried = range(low + low % 2, high, step)
    taken = [p for p in tried if bind("udp", Address(address, p)) == errno.EADDRINUSE]
    if taken and len(taken) * 10 >= len(tried):
        yield found.wrong(
            f"of {len(tried)} RTP ports that were tried {len(taken)} are taken",
            f"`ss -lunp sport = :{taken[0]}` names who has one: give it other ports.",
        )


def _addresses(patient: Patient, found: Findings) -> Iterator[Finding]:
    media = patient.config.media
    peers = patient.config.peers
    wanted = {media.address: "media.address"}
    wanted |= {p.media_address: f"peer {p.name}" for p in peers if p.media_address}
    for address, whose in wanted.items():
        if bind("udp", Address(address, 0)) == errno.EADDRNOTAVAIL:
            yield found.wrong(
                f"{whose}: this host has no address {address}",
                "`ip address` lists those it has: correct it.",
            )
    for peer in peers:
        own = peer.media_address or media.address
        told = peer.advertised or media.advertised or own
        if not ipaddress.ip_address(own).is_loopback or told != own:
            continue
        if any(_is_elsewhere(entry) for entry in peer.match):
            yield found.wrong(
                f"the peer {peer.name} is not on this host, and is told to send its"
                f" audio to {told}",
                "Set media.address, or the peer's media_address.",
            )


def _is_elsewhere(entry: str) -> bool:
    return (
        certificate_name(entry) is None
        and not parse_match(entry)[0].network_address.is_loopback
    )


def _kernel(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Ports that the kernel may give to whoever asks for any."""
    settings = patient.proc / "sys/net/ipv4"
    try:
        first, last = map(int, _read(settings / "ip_local_port_range").split())
        reserved = _read(settings / "ip_local_reserved_ports").strip()
    except (OSError, ValueError):
        return
    low, high = patient.config.media.ports
    if low <= last and first <= high and not reserved:
        yield found.warning(
            f"media.ports overlap the kernel's own, {first} to {last}: other programs"
            " are given ports out of them",
            f"Run `sysctl net.ipv4.ip_local_reserved_ports={low}-{high}`.",
        )


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")


def bind(kind: str, address: Address) -> int:
    """Bind and let go; 0, or the error's number."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(family, type_) as channel:
        if kind == "tcp":
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            channel.bind((address.host, address.port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0
