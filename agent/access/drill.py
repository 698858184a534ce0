"""The drill: does each key that must open everything still open a recording?

A recovery key that nobody tried is a hope. Each holder brings a key to one recording
that was made for it, or makes the drill alone; the report says who opened it, who
could not, and whose key was not there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.access.desk import Desk, DeskError
from agent.formats.age import Identity, NoMatchError
from agent.formats.envelope import open_envelope
from agent.formats.roster import Role


class DrillResult(StrEnum):
    """What came of one key."""

    OPENED = "opened"
    FAILED = "failed"
    "It was there, and does not open the recording."
    ABSENT = "not-there"
    STRANGE = "not-in-roster"
    "A key was brought that the roster does not know as one that opens everything."


@dataclass(frozen=True, slots=True)
class DrillRow:
    """One key of the drill."""

    holder: str
    "A person's id, or `recovery` and a number."
    result: DrillResult


def holders(desk: Desk) -> dict[str, str]:
    """Who must be able to open every recording, with their recipients.

    Raises DeskError where no roster tells.
    """
    if desk.roster is None:
        raise DeskError(
            "without a roster nobody says whose keys must open everything.",
            hint="Give [roster] in the configuration.",
        )
    quality = desk.roster.active(Role.QUALITY, desk.today)
    found = {person.id: person.recipient for person in quality}
    recovery = enumerate(desk.roster.recovery, 1)
    return found | {f"recovery-{number}": key for number, key in recovery}


def drill(
    envelope: bytes, holders: Mapping[str, str], identities: Sequence[Identity]
) -> list[DrillRow]:
    """Try every key that was brought on a recording's envelope.

    `holders` are those who must be able to open it, with their recipients. Raises
    AgeError if the envelope is broken.
    """
    brought = {str(identity.recipient()): identity for identity in identities}
    rows = []
    for holder, recipient in holders.items():
        identity = brought.pop(recipient, None)
        result = DrillResult.ABSENT
        if identity is not None:
            opens = _opens(envelope, identity)
            result = DrillResult.OPENED if opens else DrillResult.FAILED
        rows.append(DrillRow(holder, result))
    rows += [DrillRow("unknown", DrillResult.STRANGE) for _ in brought]
    return rows


def only(holders: Mapping[str, str], named: Iterable[str]) -> dict[str, str]:
    """Those whose keys a drill is of; all where none is named. Raises DeskError."""
    wanted = {*named} or {*holders}
    if wanted - {*holders}:
        raise DeskError(
            "one of those named holds no key that opens everything.",
            hint="Name people by their ids, and recovery keys `recovery-1` and so on.",
        )
    return {holder: key for holder, key in holders.items() if holder in wanted}


def passed(rows: Iterable[DrillRow]) -> bool:
    """Whether every key of the drill was brought and opened the recording."""
    return {row.result for row in rows} == {DrillResult.OPENED}


def _opens(envelope: bytes, identity: Identity) -> bool:
    try:
        open_envelope(envelope, [identity])
    except NoMatchError:
        return False
    return True
