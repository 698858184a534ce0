"""Whose certificate it is: RFC 5922 section 7."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.uri import parse_uri

MAX_NAMES: Final = 32
"More than that, one certificate speaks for too many; the rest is not read."


def names_in(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """The SIP domains and IP addresses a verified certificate speaks for.

    `certificate` is what `ssl.SSLSocket.getpeercert` returns. Section 7.1: SIP URIs
    of the subjectAltName before its DNS names, the common name only where there is
    no subjectAltName at all. In lower case.
    """
    alternatives = certificate.get("subjectAltName", ())[:MAX_NAMES]
    uris = [_domain_of(value) for kind, value in alternatives if kind == "URI"]
    names = [uri for uri in uris if uri]
    names += [value for kind, value in alternatives if kind == "DNS"]
    names += [_address(value) for kind, value in alternatives if kind == "IP Address"]
    if not alternatives:
        subject = certificate.get("subject", ())
        names += [v for part in subject for k, v in part if k == "commonName"][:1]
    return tuple(dict.fromkeys(name.lower() for name in names))


def speaks_for(names: tuple[str, ...], domain: str) -> bool:
    """Whether a certificate with these names is `domain`'s.

    Section 7.2: the whole name, no wildcard.
    """
    return bool(domain) and _address(domain.lower()) in names


def _domain_of(uri: str) -> str:
    """The domain a SIP URI names; one with a user part names that user only."""
    try:
        parsed = parse_uri(uri)
    except SipParseError:
        return ""
    if parsed.scheme not in {"sip", "sips"} or parsed.user is not None:
        return ""
    return parsed.host


def _address(text: str) -> str:
    """An IP address in its one short form; any other text as it is."""
    try:
        return str(ipaddress.ip_address(text.strip("\n")))
    except ValueError:
        return text
