"""The roster: who is who, signed by an offline root. FORMAT.md, section "Roster".

People with their roles and keys, hosts and the gate with theirs, the recovery keys.
Everything that opens, verifies or allows looks here, and nowhere else.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

import msgspec

from agent.common.errors import AgentError
from agent.formats.canonical import canonical
from agent.formats.sshsig import PublicKey

VERSION: Final = 1
LATE: Final = timedelta(days=35)
"A host seals what it recorded as it leaves, and may have got another key since then."


class RosterError(AgentError):
    """The roster is not to be used; `mistakes` names why, and never a person's name."""

    hint = "Use the newest signed roster, or have a corrected one signed."

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"The roster cannot be used: {'; '.join(self.mistakes)}.")


class Role(StrEnum):
    """What somebody may do; the gate knows the particulars."""

    QUALITY = "quality"
    "Opens every recording."
    OFFICER = "officer"
    "Takes calls, and opens those."
    ADMIN = "admin"
    "Runs storage and gate; opens nothing."
    CASE_HANDLER = "case-handler"
    "Handles requests of the people recorded; alone sees restricted records released."
    DPO = "dpo"
    "Data protection officer: reads the audit log."


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody, and what proves that it is they."""

    id: str
    "`p-…`, which is what audit rows say; nobody's name or number."
    name: str
    roles: tuple[Role, ...]
    numbers: tuple[str, ...] = ()
    "An officer's: E.164, or an extension as dialled."
    recipient: str = ""
    "age public key; empty: opens nothing."
    certificates: tuple[str, ...] = ()
    "`sha256:<hex>` of the public keys (SPKI) of TLS certificates for the gate."
    signing_key: str = ""
    "`ssh-ed25519 …` that signs requests."
    approver: bool = False
    "Whether that signature counts as one of the two that a request needs."
    since: str = ""
    "ISO date of the first day; empty: always was."
    until: str = ""
    "ISO date of the last day; empty: no end is known."

    def __repr__(self) -> str:
        return f"Person(id={self.id!r}, …)"

    def is_active(self, today: date) -> bool:
        """Whether it is one of this person's days."""
        return _is_within(self.since, self.until, today)


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key of a telephony host; one that gets another keeps the old entry too."""

    name: str
    key: str
    "`ssh-ed25519 …` that signs its seals and audit rows."
    certificates: tuple[str, ...] = ()
    since: str = ""
    "ISO date of the first day on which it signs; empty: it always did."
    until: str = ""
    "ISO date of the last; what it signs of a later day is not believed."

    def is_active(self, today: date) -> bool:
        """Whether it signs on that day."""
        return _is_within(self.since, self.until, today)

    def may_seal(self, recorded: date) -> bool:
        """Whether it may seal what was recorded on a day; it leaves a while later."""
        return _is_within(self.since, "", recorded + LATE) and (
            _is_within("", self.until, recorded)
        )


class GateEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key of the gate."""

    key: str
    "`ssh-ed25519 …` that signs the list of day keys and the audit log."
    since: str = ""
    "ISO date of the first day on which it signs; empty: it always did."
    until: str = ""
    "ISO date of the last; what it signed before must verify for as long as it is kept."

    def is_active(self, today: date) -> bool:
        """Whether it signs on that day."""
        return _is_within(self.since, self.until, today)


def _is_within(since: str, until: str, today: date) -> bool:
    day = today.isoformat()
    return since <= day and (not until or day <= until)


class Roster(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):
    """The whole document; what agent.formats.roster_reading gives can be relied on."""

    version: int = VERSION
    serial: int
    "Counts up; a reader that has seen a higher one refuses this."
    issued: str
    "UTC, `2026-11-29T12:00:00Z`."
    people: tuple[Person, ...]
    hosts: tuple[Host, ...] = ()
    gate: tuple[GateEntry, ...] = ()
    recovery: tuple[str, ...]
    "age public keys of offline recovery: they open every recording."

    def __repr__(self) -> str:
        return f"Roster(serial={self.serial}, {len(self.people)} people)"

    @cached_property
    def _by_id(self) -> dict[str, Person]:
        return {person.id: person for person in self.people}

    @cached_property
    def _by_certificate(self) -> dict[str, Person]:
        return {spki: person for person in self.people for spki in person.certificates}

    @cached_property
    def _by_number(self) -> dict[str, list[Person]]:
        found: dict[str, list[Person]] = {}
        for person in self.people:
            for number in person.numbers:
                found.setdefault(number, []).append(person)
        return found

    def person(self, person_id: str) -> Person | None:
        """Whoever bears that id, also before their first and after their last day."""
        return self._by_id.get(person_id)

    def by_certificate(self, spki: str, today: date) -> Person | None:
        """Whose certificate has that public key, if they are active."""
        person = self._by_certificate.get(spki)
        return person if person is not None and person.is_active(today) else None

    def active(self, role: Role, today: date) -> tuple[Person, ...]:
        """Those who have a role today."""
        return tuple(
            person
            for person in self.people
            if role in person.roles and person.is_active(today)
        )

    def quality_recipients(self, today: date) -> tuple[str, ...]:
        """Keys of today's quality staff; those of recovery are in `recovery`."""
        return tuple(person.recipient for person in self.active(Role.QUALITY, today))

    def officer_by_number(self, number: str, today: date) -> Person | None:
        """Whose number it is today: E.164, or an extension as dialled."""
        for person in self._by_number.get(number, ()):
            if Role.OFFICER in person.roles and person.is_active(today):
                return person
        return None

    def approvers(self, today: date) -> dict[PublicKey, Person]:
        """Who may approve requests today, by the key they sign with."""
        return {
            PublicKey.parse(person.signing_key): person
            for person in self.people
            if person.approver and person.is_active(today)
        }

    def host_keys(
        self, recorded: date | None = None
    ) -> dict[str, tuple[PublicKey, ...]]:
        """Every key that a host has or had, by the host's name.

        With `recorded`, those that may seal what is filed under that day.
        """
        keys: dict[str, tuple[PublicKey, ...]] = {host.name: () for host in self.hosts}
        for host in self.hosts:
            if recorded is None or host.may_seal(recorded):
                keys[host.name] = (*keys[host.name], PublicKey.parse(host.key))
        return keys

    def gate_keys(self, today: date | None = None) -> tuple[PublicKey, ...]:
        """Every key that the gate has or had; with `today`, those that sign then."""
        return tuple(
            PublicKey.parse(entry.key)
            for entry in self.gate
            if today is None or entry.is_active(today)
        )

    def knows_host(self, spki: str, today: date) -> bool:
        """Whether it is the certificate of a host that there is today."""
        return any(
            spki in host.certificates and host.is_active(today) for host in self.hosts
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON with its line feed: what the root signs."""
        return canonical(self)
