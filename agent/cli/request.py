"""`recording-agent request …`: what two people must sign before it is done."""

import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from agent.access.requests import (
    MAX_DOCUMENT,
    NEEDED,
    Request,
    RequestedAct,
    RequestError,
    Rule,
    parse_request,
    verify_request,
)
from agent.cli.signed_files import Config, Output, join, read, trusted_roster, write
from agent.cli.terminal import console
from agent.common.clock import utc_now
from agent.common.moments import moment_text
from agent.formats.signed import join_document, split_document
from agent.formats.sshsig import (
    MAX_PRIVATE_FILE,
    Namespace,
    SigningKey,
    parse_signature,
)

command: Final = App(
    name="request", help="Ask for an act that two people must sign, and sign it."
)


@command.command
def new(
    act: RequestedAct,
    *,
    reason: str,
    reference: str = "",
    recording: Annotated[tuple[str, ...], Parameter(name=["--id"])] = (),
    ids: Path | None = None,
    first: str = "",
    last: str = "",
    person: str = "",
    gains: tuple[str, ...] = (),
    loses: tuple[str, ...] = (),
    days: int = 7,
    output: Output = None,
) -> None:
    """Print a request that nobody has signed yet.

    Args:
        act: What is asked for.
        reason: One word, like subject-request or leaver.
        reference: Case number; never a name or a telephone number.
        recording: Id of a recording; may be given several times.
        ids: A file of such ids, one a line; - is standard input.
        first: In place of ids: every recording from this day (ISO date) on …
        last: … until this day.
        person: Of those days only what this officer (id in the roster) took part in.
        gains: Of a re-wrapping: id of somebody who is to open them and could not.
        loses: Of a re-wrapping: id of somebody who is not to open them any more.
        days: After so many the request expires; 30 at most.
        output: The file to be made; standard output if absent.
    """
    named = set(recording)
    if ids is not None:
        named.update(read(ids, MAX_DOCUMENT).decode("utf-8", "replace").split())
    rule = None
    if first or last or person:
        rule = Rule(first=first, last=last, person=person)
    now = utc_now()
    request = Request(
        id=str(uuid.uuid4()),
        act=act,
        recordings=tuple(sorted(named)),
        rule=rule,
        reason=reason,
        reference=reference,
        gains=gains,
        loses=loses,
        issued=moment_text(now),
        expires=moment_text(now + timedelta(days=days)),
    )
    payload = request.to_bytes()
    parse_request(payload)
    write(payload, output)


@command.command
def sign(
    file: Path,
    *,
    key: Annotated[Path, Parameter(name=["--key", "-k"])],
    output: Output = None,
) -> None:
    """Show a request, and print it with one more signature under it.

    A key with a passphrase, or on a security key, signs with ssh-keygen and `join`.

    Args:
        file: The request, signed by others or by nobody yet; - is standard input.
        key: A private key file of OpenSSH, Ed25519, without a passphrase.
        output: The file to be made; standard output if absent.
    """
    payload, armored = _parts(read(file, MAX_DOCUMENT))
    signer = SigningKey.from_private_file(read(key, MAX_PRIVATE_FILE))
    for text in armored:
        parse_signature(text.encode()).verify(payload, Namespace.REQUEST)
    _tell(parse_request(payload))
    own = signer.sign(payload, Namespace.REQUEST)
    write(join_document(payload, [*armored, own]), output)


@command.command(name="join")
def join_(file: Path, *signatures: Path, output: Output = None) -> None:
    """Put signatures of `ssh-keygen -Y sign -n recording-agent-request` under it.

    Args:
        file: The request, not signed.
        signatures: What ssh-keygen made of it, FILE.sig.
        output: The file to be made; standard output if absent.
    """
    payload = read(file, MAX_DOCUMENT)
    parse_request(payload)
    write(join(payload, signatures, Namespace.REQUEST), output)


@command.command
def show(
    file: Path, *, config: Config = None, roster: Path | None = None, root: str = ""
) -> None:
    """Show a request, and whether those who signed it are enough.

    Args:
        file: The request.
        config: A configuration file with a [roster].
        roster: The signed roster, if not the configuration's.
        root: Its root's public key: a .pub file, or the line in it.
    """
    data = read(file, MAX_DOCUMENT)
    payload, armored = _parts(data)
    _tell(parse_request(payload))
    members = trusted_roster(config, roster, root)
    known = {person.signing_key: person for person in members.people}
    errors = console(stderr=True)
    for text in armored:
        signature = parse_signature(text.encode())
        signature.verify(payload, Namespace.REQUEST)
        who = known.get(str(signature.key))
        name = signature.key.fingerprint if who is None else who.id
        errors.print(f"signed by:   {name}")
    try:
        approved = verify_request(data, members, utc_now())
    except RequestError as error:
        errors.print(str(error), style="red")
        sys.exit(1)
    people = ", ".join(person.id for person in approved.approvers)
    errors.print(f"approved:    {people}; {NEEDED} are needed")


def _parts(data: bytes) -> tuple[bytes, list[str]]:
    """A request, and the signatures it has by now."""
    end = data.find(b"\n") + 1
    return split_document(data) if data[end:] else (data, [])


def _tell(request: Request) -> None:
    """What somebody is about to sign, on standard error: the request goes elsewhere."""
    lines = {
        "request": request.id,
        "act": request.act,
        "reason": f"{request.reason} {request.reference}".strip(),
        "issued": request.issued,
        "expires": request.expires,
        "gains": ", ".join(request.gains),
        "loses": ", ".join(request.loses),
    }
    if (rule := request.rule) is not None:
        whose = f", where {rule.person} took part" if rule.person else ""
        lines["recordings"] = f"all from {rule.first} to {rule.last}{whose}"
    else:
        lines["recordings"] = str(len(request.recordings))
    errors = console(stderr=True)
    for name, value in lines.items():
        if value:
            errors.print(f"{name + ':':<12} {value}")
    for recording in request.recordings:
        errors.print(f"             {recording}")
