"""`recording-agent roster …`: the signed list of who is who."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.table import Table

from agent.access.requests import NEEDED
from agent.cli.roster_template import template, to_toml
from agent.cli.signed_files import Output, Trusted, join, read, write
from agent.cli.terminal import console
from agent.common.clock import utc_now, utc_ns
from agent.common.moments import moment_text
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.formats.age import recipient_kind
from agent.formats.layout import day_of
from agent.formats.roster import Person, Role, Roster
from agent.formats.roster_reading import parse_roster
from agent.formats.sshsig import Namespace
from agent.identity.officers_file import officers_file

command: Final = App(
    name="roster", help="Make, sign, check and show the list of who is who."
)
_OF_CONFIG: Final = Trusted()
_HINT: Final = "Correct the file, and encode it again."


@command.command
def new(
    *,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    output: Output = None,
) -> None:
    """Print a roster to be filled, in TOML, with a sentence on each key.

    Args:
        from_: A roster, signed or not, that the new one begins with.
        output: The file to be made; standard output if absent.
    """
    issued = moment_text(utc_now())
    text = template(issued)
    if from_ is not None:
        data = read(from_)
        roster = parse_roster(data[: data.find(b"\n") + 1])
        text = to_toml(roster, issued)
    write(text.encode(), output)


@command.command
def encode(file: Path, *, output: Output = None) -> None:
    """Judge a filled roster, and print the one line that the root signs.

    Args:
        file: The roster in TOML.
        output: The file to be made; standard output if absent.
    """
    mistakes: list[str] = []
    roster = decode_struct(Roster, read_toml(file), "", mistakes)
    if roster is None:
        raise ConfigError(mistakes, hint=_HINT)
    payload = roster.to_bytes()
    parse_roster(payload)
    write(payload, output)


@command.command(name="join")
def join_(file: Path, *signatures: Path, output: Output = None) -> None:
    """Put a signature of `ssh-keygen -Y sign` under the line it is for.

    Args:
        file: What `encode` made.
        signatures: What ssh-keygen made of it, FILE.sig.
        output: The file to be made; standard output if absent.
    """
    payload = read(file)
    parse_roster(payload)
    write(join(payload, signatures, Namespace.ROSTER), output)


@command.command
def check(trusted: Trusted = _OF_CONFIG) -> None:
    """Verify a signed roster, and say what is in it."""
    roster = trusted.roster()
    today = day_of(utc_ns())
    print(f"serial {roster.serial} of {roster.issued}: signed by the root, no mistakes")
    for role in Role:
        people = roster.active(role, today)
        print(f"{role}: {len(people)}")
    print(f"approvers: {len(roster.approvers(today))}")
    print(f"hosts: {len(roster.host_keys())}")
    print(f"recovery keys: {len(roster.recovery)}")
    for warning in _warnings(roster, today):
        console(stderr=True).print(f"warning: {warning}", style="yellow")


@command.command
def show(trusted: Trusted = _OF_CONFIG, *, names: bool = False) -> None:
    """Show the people of a signed roster.

    Args:
        trusted: See above.
        names: Show names and numbers too.
    """
    roster = trusted.roster()
    today = day_of(utc_ns())
    table = Table("id", "roles", "days", "key", "signs", "today")
    if names:
        table.add_column("name")
        table.add_column("numbers")
    for person in roster.people:
        row = [
            person.id,
            ", ".join(person.roles),
            f"{person.since or '…'} to {person.until or '…'}",
            _kind(person),
            "approves" if person.approver else "yes" if person.signing_key else "no",
            "active" if person.is_active(today) else "not active",
        ]
        row += [person.name, " ".join(person.numbers)] if names else []
        table.add_row(*row)
    console().print(table)


@command.command
def officers(trusted: Trusted = _OF_CONFIG, *, output: Output = None) -> None:
    """Print the officers of a signed roster as a file of officers (CSV).

    Args:
        trusted: See above.
        output: The file to be made; standard output if absent.
    """
    roster = trusted.roster()
    write(officers_file(roster, day_of(utc_ns())).encode(), output)


def _warnings(roster: Roster, today: date) -> Iterator[str]:
    """What is allowed, and mostly not meant."""
    if len(roster.approvers(today)) < NEEDED:
        yield f"fewer than {NEEDED} approvers: no request can be carried out"
    without = [one for one in roster.active(Role.OFFICER, today) if not one.recipient]
    if without:
        yield f"{len(without)} officers have no key: quality staff only"
    for role in (Role.QUALITY, Role.DPO, Role.CASE_HANDLER):
        if not roster.active(role, today):
            yield f"nobody is {role} today"
    if not roster.gate:
        yield "no key of a gate: no list of day keys is believed"
    gone = sum(not person.is_active(today) for person in roster.people)
    if gone:
        yield f"{gone} people are not active today"


def _kind(person: Person) -> str:
    if not person.recipient:
        return "none"
    return recipient_kind(person.recipient)
