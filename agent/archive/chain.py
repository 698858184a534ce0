"""Whether an audit log is the one that its writer wrote: object by object, and sans IO.

The name of every object follows from the one before it: its number, and the day it is
filed under. So what is missing can be named, although nobody has it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from agent.formats.audit import GENESIS, AuditError, Page, digest_of, open_page
from agent.formats.layout import LayoutError, audit_key, parse_audit
from agent.formats.sshsig import PublicKey


class Flaw(StrEnum):
    """What is wrong with one object of a log."""

    ALTERED = "altered"
    "It is not as anyone signed it whom the roster trusts."
    FOREIGN = "foreign"
    "Its name is none of this log."
    MOVED = "moved"
    "It is whole, and belongs elsewhere in the log."
    MISSING = "missing"
    "It was removed."
    REWRITTEN = "rewritten"
    "What its writer signed here does not follow what was signed before."
    CUT_OFF = "cut-off"
    "It was the log's end, as another storage knows, and is gone."
    DIFFERS = "differs"
    "Another storage has another object under this name."


@dataclass(frozen=True, slots=True)
class Finding:
    """One flaw, and the object that has it."""

    key: str
    flaw: Flaw
    place: str = ""
    "The storage whose copy tells, or is flawed; empty: the log itself."

    def __str__(self) -> str:
        at = f" ({self.place})" if self.place else ""
        return f"{self.key}: {self.flaw}{at}"


class Chain:
    """Follows one writer's log from its first object to its last, in order of rows."""

    def __init__(self, writer: str, trusted: Iterable[PublicKey]) -> None:
        self.writer = writer
        self._trusted = tuple(trusted)
        self.findings: list[Finding] = []
        self.objects = 0
        self.rows = 0
        self.last_key = ""
        self.last_number = 0
        self._next = 1
        self._previous = GENESIS
        self._day: date | None = None
        self._unsure = False
        "Whether the object before cannot be read: what follows it is believed."
        self._closed: dict[str, str] = {}
        "Digests of the objects that closed a day, by name."

    def join(self) -> None:
        """Begin in the middle: the first object that comes is believed its place."""
        self._unsure = True

    def take(self, key: str, data: bytes) -> Page | None:
        """The object's page if it is one of this log's, wherever it belongs."""
        self.objects += 1
        try:
            name = parse_audit(key)
        except LayoutError:
            self._found(key, Flaw.FOREIGN)
            return None
        if name.writer != self.writer:
            self._found(key, Flaw.FOREIGN)
            return None
        if name.sequence >= self.last_number:
            self.last_key, self.last_number = key, name.sequence
        try:
            page = open_page(data, self._trusted)
        except AuditError:
            self._found(key, Flaw.ALTERED)
            self._unsure = True
            return None
        if page.writer != self.writer or page.first != name.sequence:
            self._found(key, Flaw.MOVED)
            self._unsure = True
            return page
        self._follow(key, name.day, page, digest_of(data))
        return page

    def _follow(self, key: str, day: date, page: Page, digest: str) -> None:
        """Compare an object that is whole with what the one before it foretells."""
        if page.first < self._next:
            self._found(key, Flaw.MOVED)
            return
        if not self._unsure:
            expected = self._day or day
            if page.first > self._next:
                self._found(audit_key(self.writer, expected, self._next), Flaw.MISSING)
            elif page.previous != self._previous:
                self._found(key, Flaw.REWRITTEN)
            elif day != expected:
                self._found(key, Flaw.MOVED)
        rolls_to = page.rolls_to()
        if rolls_to is not None:
            self._closed[key] = digest
            if rolls_to == day or (rolls_to < day) is not page.goes_back:
                self._found(key, Flaw.REWRITTEN)
        self.rows += len(page.rows)
        self._next, self._previous = page.last + 1, digest
        self._day, self._unsure = rolls_to or day, False

    def compare(self, place: str, heads: Mapping[str, bytes]) -> None:
        """Hold the log against the ends of its days that another storage keeps.

        To be called once all objects were taken.
        """
        for key, data in heads.items():
            try:
                name = parse_audit(key)
                open_page(data, self._trusted)
            except LayoutError:
                self._found(key, Flaw.FOREIGN, place)
                continue
            except AuditError:
                self._found(key, Flaw.ALTERED, place)
                continue
            if name.writer != self.writer:
                self._found(key, Flaw.FOREIGN, place)
            elif name.sequence > self.last_number:
                self._found(key, Flaw.CUT_OFF, place)
            elif key not in self._closed:
                self._found(key, Flaw.MISSING, place)
            elif self._closed[key] != digest_of(data):
                self._found(key, Flaw.DIFFERS, place)

    def _found(self, key: str, flaw: Flaw, place: str = "") -> None:
        self.findings.append(Finding(key, flaw, place))
