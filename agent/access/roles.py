"""Who may do what to which record: one table, and the decision.

What is decided from the asker alone is said with its reason. What depends on the
record is one answer, whether it is not there or not the asker's: else ids could be
guessed, and calls counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from agent.access.purposes import CASE_BOUND, PURPOSES, Purpose
from agent.formats.audit import Act
from agent.formats.roster import Person, Role

_READING: Final = frozenset({Act.FIND, Act.RELEASE})
_KEEPING: Final = frozenset(
    {Act.HOLD, Act.UNHOLD, Act.RESTRICT, Act.UNRESTRICT, Act.ANNOTATE, Act.REQUEST}
)

ACTS: Final[Mapping[Role, frozenset[Act]]] = MappingProxyType(
    {
        Role.QUALITY: _READING | {Act.HOLD, Act.UNHOLD, Act.REQUEST, Act.REWRAP},
        Role.OFFICER: _READING,
        # No act of anyone's alters the log or switches it off.
        Role.ADMIN: _READING | {Act.REQUEST, Act.REWRAP, Act.ERASE, Act.SWEEP},
        # Whoever answers a person's request tells when and why they were listened to.
        Role.CASE_HANDLER: _READING | _KEEPING | {Act.ERASE, Act.AUDIT_READ},
        Role.DPO: _READING | _KEEPING | {Act.AUDIT_READ},
    }
)


class Reason(StrEnum):
    """Why something is denied, as the audit log says it."""

    ROLE = "role"
    "None of the asker's roles may do that for that purpose."
    REFERENCE = "reference"
    "The purpose belongs to a case, whose number is missing."
    UNKNOWN = "unknown"
    "There is no such record."
    NOT_OWN = "not-own"
    "The asker took no part in that call."
    RESTRICTED = "restricted"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a record when somebody asks for it."""

    there: bool
    "Whether storage holds it."
    own: bool
    "Whether the officers' index names it under a number of the asker's."
    restricted: bool = False
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may be done."""

    everyones: bool
    "Whether to any record; else to the asker's own."


@dataclass(frozen=True, slots=True)
class Denied:
    """It may not."""

    reason: Reason


def decide(
    person: Person, act: Act, purpose: Purpose | None = None, reference: str = ""
) -> Allowed | Denied:
    """Whether the person may do that at all; `purpose` for acts that need one."""
    roles = [role for role in person.roles if act in ACTS[role]]
    if purpose is not None:
        roles = [role for role in roles if purpose in PURPOSES[role]]
    if not roles or (act in _READING and purpose is None):
        return Denied(Reason.ROLE)
    if purpose in CASE_BOUND and not reference:
        return Denied(Reason.REFERENCE)
    return Allowed(everyones=any(role is not Role.OFFICER for role in roles))


def decide_state(person: Person) -> Allowed | Denied:
    """Whether the person may see what is known of a record beside the recording."""
    if not any(Act.FIND in ACTS[role] for role in person.roles):
        return Denied(Reason.ROLE)
    return Allowed(everyones=any(role is not Role.OFFICER for role in person.roles))


def decide_record(person: Person, allowed: Allowed, facts: Facts) -> Allowed | Denied:
    """Whether the person may do to this record what `decide` allowed.

    That a record is restricted or erased is for those to know who could open it else.
    """
    if not allowed.everyones and not facts.own:
        return Denied(Reason.NOT_OWN)
    if facts.erased:
        return Denied(Reason.ERASED)
    if not facts.there:
        return Denied(Reason.UNKNOWN)
    if facts.restricted and Role.CASE_HANDLER not in person.roles:
        return Denied(Reason.RESTRICTED)
    return allowed
