"""Whether the certificates that are shown and believed are good, and for how long."""

import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtensionOID

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.clock import utc_now
from agent.common.errors import AgentError

SOON: Final = timedelta(days=21)
"An authority and two people need that long, on holiday."
MAX_FILE: Final = 4 * 1024 * 1024
_RENEW: Final = "Renew it, then `systemctl reload recording-agent`: calls go on."


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge what `[tls]`, `[mqtt]` and the storages name."""
    tls, now = patient.config.tls, utc_now()
    if tls.certificate:
        yield from _own(patient, found, now)
    elif any(entry.startswith("tls:") for entry in patient.config.sip.listen):
        return  # the configuration's mistake, and told there
    mqtt = patient.config.mqtt
    authorities = {
        "tls.ca": tls.ca,
        "mqtt.ca": mqtt.ca,
        "mqtt.certificate": mqtt.certificate,
    }
    for index, storage in enumerate(patient.config.storage):
        authorities[f"storage[{index}].ca"] = storage.ca
    for place, name in authorities.items():
        if name:
            yield from _authorities(place, patient.base / name, found, now)


def _own(patient: Patient, found: Findings, now: datetime) -> Iterator[Finding]:
    tls = patient.config.tls
    try:
        chain = _load(patient.base / tls.certificate)
        key = load_pem_private_key(patient.secrets.read(tls.key).encode(), None)
    except (AgentError, OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        yield found.wrong(
            f"[tls] cannot be read: {error}", "Give PEM files, the key without one."
        )
        return
    leaf = chain[0]
    yield _lasting("tls.certificate", leaf, found, now)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        yield found.wrong(
            "tls.key is not the key of tls.certificate",
            "Name the pair that was made together.",
        )
    names = _names(leaf)
    if not names:
        yield found.wrong(
            "tls.certificate has no subjectAltName: peers know nobody by it (RFC 5922)",
            "Have it made anew, with this host's SIP name as a DNS name.",
        )
    elif any("*" in name for name in names):
        yield found.warning(
            "tls.certificate has a wildcard, which SIP does not know (RFC 5922)",
            "Have it made anew, with this host's whole name.",
        )
    else:
        yield found.right(f"tls.certificate speaks for {', '.join(names[:4])}")
    yield from _chain(patient, chain, found, now)


def _chain(
    patient: Patient,
    chain: Sequence[x509.Certificate],
    found: Findings,
    now: datetime,
) -> Iterator[Finding]:
    """Whether each certificate was issued by the next, and the last by a known one."""
    for lower, upper in pairwise(chain):
        if not _issued(lower, upper):
            yield found.wrong(
                "tls.certificate: what follows the leaf has not issued it",
                "Put the leaf first, then each issuer, without the root.",
            )
            return
        yield _lasting("an issuer in tls.certificate", upper, found, now, quiet=True)
    ca = patient.config.tls.ca
    try:
        known = _load(patient.base / ca) if ca else _system()
    except (OSError, ValueError):
        known = []  # told where the authorities are judged
    top = chain[-1]
    if any(_issued(top, authority) or top == authority for authority in known):
        yield found.right("tls.certificate leads to an authority that is believed here")
    else:
        yield found.warning(
            "no authority that is believed here has issued tls.certificate",
            "Put the issuers behind the leaf, or see that peers have the same root.",
        )


def _authorities(
    place: str, path: Path, found: Findings, now: datetime
) -> Iterator[Finding]:
    try:
        authorities = _load(path)
    except (OSError, ValueError) as error:
        yield found.wrong(f"{place} cannot be read: {error}", "Give a PEM file.")
        return
    for authority in authorities:
        yield _lasting(place, authority, found, now, quiet=len(authorities) > 1)


def _lasting(
    place: str,
    certificate: x509.Certificate,
    found: Findings,
    now: datetime,
    *,
    quiet: bool = False,
) -> Finding:
    """For how long it is good."""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < first:
        return found.wrong(
            f"{place} is good from {first:%Y-%m-%d} only",
            "See whether this host's clock is right; else wait, or have it made anew.",
        )
    if last <= now:
        return found.wrong(f"{place} expired on {last:%Y-%m-%d}", _RENEW)
    if last - now < SOON:
        return found.warning(f"{place} expires on {last:%Y-%m-%d}", _RENEW)
    which = " (one of several)" if quiet else ""
    return found.right(f"{place} is good until {last:%Y-%m-%d}{which}")


def _load(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises OSError, ValueError."""
    with path.open("rb") as file:
        return x509.load_pem_x509_certificates(file.read(MAX_FILE))


def _system() -> list[x509.Certificate]:
    paths = ssl.get_default_verify_paths()
    return _load(Path(paths.cafile)) if paths.cafile else []


def _issued(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_oid(
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        )
    except (x509.ExtensionNotFound, ValueError):
        return []
    value = extension.value
    if not isinstance(value, x509.SubjectAlternativeName):
        return []
    uris = value.get_values_for_type(x509.UniformResourceIdentifier)
    dns = value.get_values_for_type(x509.DNSName)
    addresses = value.get_values_for_type(x509.IPAddress)
    return [*uris, *dns, *map(str, addresses)]
