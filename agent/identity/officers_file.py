"""The file of officers as a view of the signed roster: written from it, held to it."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date

from agent.formats.roster import Person, Role, Roster
from agent.identity.directory import COLUMNS, Directory, OfficerEntry
from agent.identity.numbers import FINLAND, IdentityConfig, normalise


def officers_file(roster: Roster, today: date) -> str:
    """`number,name,recipient` of everybody who is an officer today or will be."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(
        (number, person.name, person.recipient)
        for person in roster.people
        if Role.OFFICER in person.roles
        and (not person.until or today.isoformat() <= person.until)
        for number in person.numbers
    )
    return text.getvalue()


def unsigned_changes(
    directory: Directory, roster: Roster, identity: IdentityConfig = FINLAND
) -> list[str]:
    """Where a file of officers says other than the roster: `line 3: name …`.

    Nothing that stands in either is quoted. What the roster says of an officer who has
    left, or is yet to come, may stand there too: the file need not change by itself.
    """
    owners: dict[str, list[Person]] = {}
    for person in roster.people:
        if Role.OFFICER in person.roles:
            for number in person.numbers:
                owners.setdefault(normalise(number, identity), []).append(person)
    return [
        f"line {entry.line}: {fault}"
        for entry in directory
        for fault in _faults(entry, owners.get(normalise(entry.number, identity), ()))
    ]


def _faults(entry: OfficerEntry, owners: Iterable[Person]) -> Iterator[str]:
    nearest: list[str] | None = None
    for person in owners:
        differ = [
            f"{field} is not that of the signed roster"
            for field in ("name", "recipient")
            if getattr(entry, field) != getattr(person, field)
        ]
        if nearest is None or len(differ) < len(nearest):
            nearest = differ
    if nearest is None:
        yield "number is no officer's in the signed roster"
    else:
        yield from nearest
