"""Reading a roster: its signature, its form, and what must hold of it besides.

Every mistake is named by its place, and nothing that stands there is quoted.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Final

from agent.common.errors import AgentError
from agent.common.moments import parse_moment
from agent.formats.age import KeyKind, parse_recipient
from agent.formats.canonical import CanonicalError, parse_canonical
from agent.formats.roster import VERSION, Host, Person, Role, Roster, RosterError
from agent.formats.signed import verify_document
from agent.formats.sshsig import Namespace, PublicKey, SignatureError, SshKeyError

MAX_ROSTER: Final = 64 * 2**20
"Bytes; thirty thousand officers with post-quantum keys."
MAX_PEOPLE: Final = 50_000
MAX_HOSTS: Final = 2_000
MAX_KEYS: Final = 64
"Of the gate and of recovery; of one person's numbers and certificates."
MAX_NAME: Final = 200
MAX_SERIAL: Final = 2**53 - 1
MAX_MISTAKES: Final = 100
"How many are named; with more it is another kind of file."
MIN_OPENERS: Final = 2
"Who open every recording: with fewer, one lost key loses everything."

_ID: Final = re.compile(r"p-[a-z0-9-]{1,38}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}|[1-9][0-9]{0,8}", re.ASCII)
_SPKI: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def verify_roster(data: bytes, root: PublicKey, *, floor: int = 0) -> Roster:
    """Read a signed roster.

    Raises RosterError: the root has not signed it, its serial is below `floor`, or
    what it says cannot be.
    """
    try:
        verified = verify_document(data, Namespace.ROSTER, [root])
    except SignatureError as error:
        raise RosterError([f"its signature: {error}"]) from None
    roster = parse_roster(verified.payload)
    if roster.serial < floor:
        raise RosterError(
            [f"its serial is {roster.serial}, and {floor} has been seen already"]
        )
    return roster


def parse_roster(payload: bytes) -> Roster:
    """Read a roster that is not signed yet. Raises RosterError with every mistake."""
    try:
        roster = parse_canonical(payload, Roster, limit=MAX_ROSTER, version=VERSION)
    except CanonicalError as error:
        raise RosterError([f"its form: {error}"]) from None
    if mistakes := mistakes_of(roster):
        raise RosterError(mistakes)
    return roster


def mistakes_of(roster: Roster) -> list[str]:
    """What is wrong with a roster; empty if nothing is."""
    return list(islice(_Judge(roster).mistakes(), MAX_MISTAKES))


class _Judge:
    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._owners: dict[str, str] = {}
        "Whatever must be one's own, to where it stood first."

    def mistakes(self) -> Iterator[str]:
        roster = self._roster
        if not 0 < roster.serial <= MAX_SERIAL:
            yield "serial: it must count up from 1"
        if not _is_moment(roster.issued):
            yield "issued: a UTC time like 2026-11-29T12:00:00Z is expected"
        if len(roster.people) > MAX_PEOPLE or len(roster.hosts) > MAX_HOSTS:
            yield "there are more people or hosts than are believed"
            return
        if max(len(roster.gate), len(roster.recovery)) > MAX_KEYS:
            yield "there are more keys of the gate or of recovery than are believed"
            return
        for index, person in enumerate(roster.people):
            here = f"people[{index}]"
            if _ID.fullmatch(person.id) is None:
                yield f"{here}.id: p- and at most 38 of a-z, 0-9 and - are expected"
            else:
                here = f"{here} ({person.id})"
                yield from self._own(person.id, here, "id")
            yield from self._person(person, here)
        yield from self._numbers()
        for index, host in enumerate(roster.hosts):
            yield from self._host(host, f"hosts[{index}]")
        for index, entry in enumerate(roster.gate):
            yield from self._signing_key(entry.key, f"gate[{index}].key")
            yield from self._days(entry.since, entry.until, f"gate[{index}]")
        for index, recipient in enumerate(roster.recovery):
            yield from self._recipient(recipient, f"recovery[{index}]")
        yield from self._openers()

    def _person(self, person: Person, here: str) -> Iterator[str]:
        if not 0 < len(person.name) <= MAX_NAME or not person.name.isprintable():
            yield f"{here}.name: it is empty, too long, or holds control characters"
        if len(set(person.roles)) != len(person.roles):
            yield f"{here}.roles: one of them is there twice"
        if max(len(person.numbers), len(person.certificates)) > MAX_KEYS:
            yield f"{here}: there are more numbers or certificates than are believed"
            return
        if not all(_NUMBER.fullmatch(number) for number in person.numbers):
            yield f"{here}.numbers: E.164 numbers or extensions are expected"
        if person.recipient:
            yield from self._recipient(person.recipient, f"{here}.recipient")
        elif Role.QUALITY in person.roles:
            yield f"{here}.recipient: quality staff need one"
        yield from self._certificates(person.certificates, here)
        if person.signing_key:
            yield from self._signing_key(person.signing_key, f"{here}.signing_key")
        elif person.approver:
            yield f"{here}.signing_key: an approver needs one"
        yield from self._days(person.since, person.until, here)

    def _days(self, since: str, until: str, here: str) -> Iterator[str]:
        if not all(day == "" or _is_day(day) for day in (since, until)):
            yield f"{here}: since and until are dates like 2026-11-29"
        elif until and since > until:
            yield f"{here}: until is before since"

    def _numbers(self) -> Iterator[str]:
        """At no time may a number be two persons'; a successor may get it."""
        held: dict[str, list[tuple[int, Person]]] = {}
        for index, person in enumerate(self._roster.people):
            for number in person.numbers:
                others = held.setdefault(number, [])
                if len(others) == MAX_KEYS:
                    yield f"people[{index}].numbers: too many have had one of them"
                    return
                for other, owner in others:
                    if _overlap(person, owner):
                        yield (
                            f"people[{index}].numbers: one of them is at the same time"
                            f" people[{other}]'s"
                        )
                others.append((index, person))

    def _host(self, host: Host, here: str) -> Iterator[str]:
        if _HOST.fullmatch(host.name) is None:
            yield f"{here}.name: 64 letters, digits, . _ and - at most are expected"
        yield from self._signing_key(host.key, f"{here}.key")
        yield from self._days(host.since, host.until, here)
        if len(host.certificates) > MAX_KEYS:
            yield f"{here}: there are more certificates than are believed"
            return
        yield from self._certificates(host.certificates, here)

    def _certificates(self, certificates: Iterable[str], here: str) -> Iterator[str]:
        for spki in certificates:
            if _SPKI.fullmatch(spki) is None:
                yield f"{here}.certificates: sha256: and 64 hex digits are expected"
            else:
                yield from self._own(spki, here, "certificate")

    def _signing_key(self, text: str, here: str) -> Iterator[str]:
        try:
            exact = str(PublicKey.parse(text)) == text
        except SshKeyError as error:
            yield f"{here}: {error}"
            return
        if not exact:
            # A comment is mostly somebody's name.
            yield f"{here}: the key must stand there without a comment"
        # Two who share a key are one as far as a signature can tell.
        yield from self._own(text, here, "key")

    def _recipient(self, text: str, here: str) -> Iterator[str]:
        try:
            recipient = parse_recipient(text)
        except AgentError as error:
            yield f"{here}: {error}"
            return
        if str(recipient) != text:
            yield f"{here}: something stands beside the key"
        yield from self._own(text, here, "key")

    def _own(self, what: str, here: str, kind: str) -> Iterator[str]:
        if what in self._owners:
            yield f"{here}: its {kind} stands at {self._owners[what]} already"
        self._owners.setdefault(what, here)

    def _openers(self) -> Iterator[str]:
        """Those who open everything: enough, and of one kind."""
        roster = self._roster
        staff = [
            person.recipient
            for person in roster.people
            if Role.QUALITY in person.roles and person.recipient
        ]
        if not roster.recovery:
            yield "recovery: an offline recovery key is needed"
        if len({*staff, *roster.recovery}) < MIN_OPENERS:
            yield "quality staff and recovery must be two keys at least"
        kinds = {_kind(text) for text in (*staff, *roster.recovery)} - {None}
        if len(kinds) > 1:
            yield "quality staff and recovery mix classic and post-quantum keys"


def _kind(text: str) -> KeyKind | None:
    try:
        return parse_recipient(text).kind
    except AgentError:
        return None  # named where it stands


def _overlap(one: Person, other: Person) -> bool:
    starts = max(one.since, other.since)
    return all(not person.until or starts <= person.until for person in (one, other))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_moment(text: str) -> bool:
    try:
        parse_moment(text)
    except ValueError:
        return False
    return True
