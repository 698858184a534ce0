"""Where a request to a URI goes: RFC 3263, RFC 2782 (the order of SRV records).

Sans-IO: `locate` is a generator that asks questions and is sent the answers.
"""

import random
from bisect import bisect_left
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Final

from agent.model.media import ip_of
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.uri import Uri

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
MAX_TARGETS: Final = 16
"Of one URI: who has more would keep a caller waiting for ever."
MAX_RECORDS: Final = 32
"Of one answer; the rest is not looked at."

_SERVICES: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_PREFIXES: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask the name service."""

    name: str
    type: str
    "`A`, `AAAA`, `SRV` or `NAPTR`."


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str
    "Empty: the service is decidedly not there."


@dataclass(frozen=True, slots=True)
class Naptr:
    """RFC 3403 section 4.1, as far as SIP uses it."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


Record = str | Srv | Naptr
"An address literal, or one of the others."
Answer = Sequence[Record]
"Empty where there is no such record, or no answer."


@dataclass(frozen=True, slots=True)
class Target:
    """One place to try."""

    transport: str
    host: str
    "An address literal."
    port: int


class UnsupportedTransportError(SipParseError):
    """A URI asks for a transport that we do not speak, or do not serve."""

    status = 480


def locate(
    uri: Uri, *, served: Collection[tuple[str, int]], rng: random.Random
) -> Generator[Question, Answer, list[Target]]:
    """The targets of `uri`, in the order in which they are to be tried.

    `served`: transport and IP version (4, 6) of each of our listeners, in the order
    of our preference. Raises UnsupportedTransportError.
    """
    secure = uri.scheme == "sips"
    ours = list(dict.fromkeys(t for t, _ in served if t == "tls" or not secure))
    wanted = (uri.param("transport") or "").lower()
    literal = _is_literal(uri.host)
    if wanted:
        transport = "tls" if secure and wanted == "tcp" else wanted
        if transport not in ours:
            raise UnsupportedTransportError(
                f"no listener of ours speaks the transport of a target ({wanted})."
            )
        ours = [transport]
    if not ours:
        raise UnsupportedTransportError("no listener of ours speaks tls.")
    if literal or uri.port is not None:
        # Section 4.1: UDP for SIP, TLS for SIPS, where nothing else is said.
        transport = "udp" if "udp" in ours else ours[0]
        port = uri.port or DEFAULT_PORTS[transport]
        return (yield from _at(uri.host, port, transport, served))
    found: list[Target] = []
    for transport, service in (yield from _services(uri.host, ours, named=wanted)):
        answer = yield Question(service, "SRV")
        records = [record for record in answer if isinstance(record, Srv)]
        for record in order(records[:MAX_RECORDS], rng):
            if record.target and len(found) < MAX_TARGETS:
                found += yield from _at(record.target, record.port, transport, served)
        if records and wanted:
            return found[:MAX_TARGETS]
    if not found:
        transport = "udp" if "udp" in ours else ours[0]
        port = DEFAULT_PORTS[transport]
        found = yield from _at(uri.host, port, transport, served)
    return found[:MAX_TARGETS]


def _services(
    domain: str, ours: Sequence[str], *, named: str
) -> Generator[Question, Answer, list[tuple[str, str]]]:
    """Transports, each with the name of its SRV records (section 4.1)."""
    if not named:
        answer = yield Question(domain, "NAPTR")
        records = [
            record
            for record in answer[:MAX_RECORDS]
            if isinstance(record, Naptr)
            and record.flags.lower() == "s"
            and _SERVICES.get(record.service.upper()) in ours
        ]
        records.sort(key=lambda record: (record.order, record.preference))
        if records:
            return [(_SERVICES[r.service.upper()], r.replacement) for r in records]
    return [(transport, f"{_PREFIXES[transport]}.{domain}") for transport in ours]


def _at(
    host: str, port: int, transport: str, served: Collection[tuple[str, int]]
) -> Generator[Question, Answer, list[Target]]:
    """The addresses of one host, of the IP versions we serve."""
    versions = [version for t, version in served if t == transport]
    if _is_literal(host):
        usable = ip_of(host).version in versions
        return [Target(transport, host, port)] if usable else []
    found: list[Target] = []
    for version in dict.fromkeys(versions):
        answer = yield Question(host, "AAAA" if version == 6 else "A")
        found += [
            Target(transport, record, port)
            for record in answer[:MAX_RECORDS]
            if isinstance(record, str)
        ]
    return found


def order(records: Sequence[Srv], rng: random.Random) -> list[Srv]:
    """The order to try SRV records in: by priority, then by lot (RFC 2782)."""
    ordered: list[Srv] = []
    ranked = sorted(records, key=lambda record: (record.priority, record.weight))
    for _, group in groupby(ranked, key=lambda record: record.priority):
        # Those of weight 0 stand first, and so have a very small chance.
        rest = list(group)
        while rest:
            sums = list(accumulate(record.weight for record in rest))
            lot = rng.randint(0, sums[-1])
            ordered.append(rest.pop(bisect_left(sums, lot)))
    return ordered


def _is_literal(host: str) -> bool:
    try:
        ip_of(host)
    except ValueError:
        return False
    return True
