"""Whether recording sessions are understood, and come as safely as they might."""

from collections.abc import Iterator

from agent.call.config import PeerConfig, certificate_name
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.rules import RuleKind
from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.signalling.config import parse_listen


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Judge each `[[siprec]]` entry, with its peer."""
    peers = {peer.name: peer for peer in patient.config.peers}
    tls = any(
        parse_listen(entry).transport == "tls" for entry in patient.config.sip.listen
    )
    if not patient.config.siprec:
        yield found.right("no peer is a session recording client")
    for entry in patient.config.siprec:
        faults = [
            *_transport(entry, peers[entry.from_], patient, found, tls=tls),
            *_policy(entry, found),
            *_routes(entry, patient, found),
            *_parties(entry, patient, found),
        ]
        yield from faults
        if not faults:
            yield found.right(f"{entry.name}: its sessions come safely, and say enough")


def _transport(
    entry: SiprecConfig,
    peer: PeerConfig,
    patient: Patient,
    found: Findings,
    *,
    tls: bool,
) -> Iterator[Finding]:
    """RFC 7866 section 12: a recording session is as safe as the call, by TLS."""
    if not tls and peer.srtp == "require":
        yield found.wrong(
            f"{entry.name}: the peer {peer.name} must encrypt, and keys are taken over"
            " TLS only: all its sessions are refused",
            "Add a tls: listener to sip.listen, and send the sessions there.",
        )
    elif not tls:
        yield found.warning(
            f"{entry.name}: metadata and audio come in the clear",
            "Add a tls: listener to sip.listen, and let the client send SRTP there.",
        )
    by_name = [one for one in peer.match if certificate_name(one) is not None]
    if by_name and patient.config.tls.verify_client == "off":
        yield found.wrong(
            f"{entry.name}: the peer {peer.name} is known by its certificate, which"
            " nobody asks it for",
            'Set tls.verify_client to "optional" or "required".',
        )


def _policy(entry: SiprecConfig, found: Findings) -> Iterator[Finding]:
    if entry.recognise == "legacy":
        yield found.warning(
            f"{entry.name}: what its peer sends counts as a recording session also"
            " where it does not say so",
            'Set recognise to "strict" if the client knows RFC 7866.',
        )
    if entry.on_notice_failure == "record":
        yield found.warning(
            f"{entry.name}: calls are recorded also where nothing shows that the"
            " parties were told",
            'Set on_notice_failure to "discard", or have that decided in writing.',
        )


def _routes(
    entry: SiprecConfig, patient: Patient, found: Findings
) -> Iterator[Finding]:
    """A session that says in no way what it is comes after the peer's routes."""
    if entry.recognise != "legacy":
        return
    for route in patient.config.routes:
        if route.from_ == entry.from_ and route.number == "*":
            yield found.warning(
                f"{entry.name}: the route {route.name} takes every number of its peer:"
                " a session of plain SDP is carried as a call",
                "Narrow that route, or let recording sessions come as another peer.",
            )


def _parties(
    entry: SiprecConfig, patient: Patient, found: Findings
) -> Iterator[Finding]:
    config, material = patient.config, patient.material
    named = bool(config.officers.directory or config.roster.path)
    empty = named and material is not None and not len(material.people.directory())
    rules = (*entry.officer, *entry.caller, *entry.calling)
    if RuleKind.DIRECTORY in rules and (empty or not named):
        yield found.wrong(
            f"{entry.name}: a rule asks the officers' directory, which knows nobody",
            "Name a directory or a roster with officers in it, or take another rule.",
        )
    elif empty:
        yield found.warning(
            f"{entry.name}: the officers' directory knows nobody yet",
            "Put the officers into it, under the numbers that the client names.",
        )
    elif (
        not named
        and entry.direction == "decide"
        and not (entry.officer or entry.caller)
    ):
        yield found.warning(
            f"{entry.name}: nothing here tells officers and callers apart",
            "Name the officers' directory or a roster, or give rules: officer, caller.",
        )
