"""Requests that two people must sign: to erase recordings early, to re-wrap their keys.

FORMAT.md, section "Requests". The two are rostered approvers, and different persons.
Which recordings a request is about stands in it: their ids, or a rule that says which.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

import msgspec

from agent.common.errors import AgentError
from agent.common.moments import parse_moment
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import HELSINKI, valid_id
from agent.formats.roster import Person, Roster
from agent.formats.signed import verify_document
from agent.formats.sshsig import Namespace, SignatureError

VERSION: Final = 1
NEEDED: Final = 2
"Different approvers."
MAX_RECORDINGS: Final = 10_000
"By id; for more there is a rule."
MAX_REQUEST: Final = 1 << 20
"Bytes; MAX_RECORDINGS ids take 390 kB."
MAX_DOCUMENT: Final = MAX_REQUEST + (1 << 16)
"Bytes, with the signatures."
MAX_LIFE: Final = timedelta(days=30)
SKEW: Final = timedelta(minutes=5)
"By which the clocks of approvers and gate may differ."
_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_REFERENCE: Final = re.compile(r"[A-Za-z0-9/.-]{0,64}", re.ASCII)
_PERSON: Final = re.compile(r"p-[a-z0-9-]{1,38}", re.ASCII)


class RequestError(AgentError):
    """The request is not one that may be carried out."""

    hint = "Make a new request, and have two approvers sign it."


class RequestedAct(StrEnum):
    """What is asked for."""

    ERASE = "erase"
    "Make the recordings unreadable before their year is over."
    REWRAP = "rewrap"
    "Put other envelopes in place of the recordings'."


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set of recordings by what they are, where their ids are too many."""

    first: str
    "ISO date of the first day, by the recordings' local ends."
    last: str
    "ISO date of the last day; both count."
    person: str = ""
    "An officer who took part (`p-…`); empty: whoever did."

    def is_past(self, issued: datetime) -> bool:
        """Whether all its days were over, and so what is meant was there to be seen.

        What is recorded after two people have signed is nothing that they approved.
        """
        return self.last < issued.astimezone(HELSINKI).date().isoformat()

    def covers(self, day: date, officers: Collection[str]) -> bool:
        """Whether a recording of that day, with these officers (ids), is meant."""
        return self.first <= day.isoformat() <= self.last and (
            not self.person or self.person in officers
        )


class Request(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):
    """What is to be done, to which recordings, why, and until when it may be."""

    version: int = VERSION
    id: str
    "A random UUID: the request is carried out once."
    act: RequestedAct
    recordings: tuple[str, ...] = ()
    "Ids, sorted; empty where `rule` says which."
    rule: Rule | None = None
    reason: str
    "One word, like `subject-request` or `leaver`."
    reference: str = ""
    "Case number; never a name or a telephone number."
    gains: tuple[str, ...] = ()
    "Of a re-wrapping: ids of those who could not open the recordings before."
    loses: tuple[str, ...] = ()
    "Of a re-wrapping: ids of those who cannot afterwards."
    issued: str
    "UTC, `2026-11-29T12:00:00Z`."
    expires: str

    @cached_property
    def _named(self) -> frozenset[str]:
        return frozenset(self.recordings)

    def covers(
        self, recording_id: str, day: date, officers: Collection[str] = ()
    ) -> bool:
        """Whether a recording is among those that the request is about."""
        if self.rule is not None:
            return self.rule.covers(day, officers)
        return recording_id in self._named

    def to_bytes(self) -> bytes:
        """Canonical JSON with its line feed: what the approvers sign."""
        return canonical(self)


@dataclass(frozen=True, slots=True)
class Approved:
    """A request, and the two or more who answer for it."""

    request: Request
    approvers: tuple[Person, ...]


def parse_request(payload: bytes) -> Request:
    """Read a request, signed or not. Raises RequestError."""
    try:
        request = parse_canonical(payload, Request, limit=MAX_REQUEST, version=VERSION)
    except CanonicalError as error:
        raise RequestError(f"This is not a request: {error}") from None
    if fault := _fault(request):
        raise RequestError(f"The request cannot be carried out: {fault}.")
    return request


def verify_request(
    data: bytes, roster: Roster, now: datetime, *, needed: int = NEEDED
) -> Approved:
    """Read a signed request and see who approves it; `now` is aware, any zone.

    Raises RequestError: fewer than `needed` of today's approvers have signed it, it is
    over or not yet due, or what it says cannot be.
    """
    if len(data) > MAX_DOCUMENT:
        raise RequestError("The request is longer than any that is believed.")
    approvers = roster.approvers(now.astimezone(HELSINKI).date())
    try:
        verified = verify_document(data, Namespace.REQUEST, approvers, needed=needed)
    except SignatureError as error:
        raise RequestError(f"The request is not approved: {error}") from None
    request = parse_request(verified.payload)
    if now + SKEW < parse_moment(request.issued):
        raise RequestError("The request was issued in the future.")
    if now >= parse_moment(request.expires):
        raise RequestError("The request has expired.")
    return Approved(request, tuple(approvers[key] for key in verified.signers))


def _fault(request: Request) -> str:
    """What is wrong with a request; empty if nothing is."""
    if not valid_id(request.id):
        return "its id is not a random UUID"
    if bool(request.recordings) == (request.rule is not None):
        return "either recordings or a rule must say what it is about"
    if len(request.recordings) > MAX_RECORDINGS:
        return f"it names more than {MAX_RECORDINGS} recordings"
    if not all(valid_id(recording) for recording in request.recordings):
        return "a recording's id is none"
    if list(request.recordings) != sorted(set(request.recordings)):
        return "its recordings are not sorted, or one is there twice"
    if (rule := request.rule) is not None:
        if not (_is_day(rule.first) and _is_day(rule.last)):
            return "its rule's first and last are dates like 2026-11-29"
        if rule.first > rule.last:
            return "its rule's first day is after its last"
        if rule.person and _PERSON.fullmatch(rule.person) is None:
            return "its rule's person is no id of the roster"
    if _WORD.fullmatch(request.reason) is None:
        return "its reason is not one word of a-z, 0-9 and -"
    if _REFERENCE.fullmatch(request.reference) is None:
        return "its reference has characters other than letters, digits, / . and -"
    changed = (*request.gains, *request.loses)
    if len(changed) > 100 or not all(map(_PERSON.fullmatch, changed)):
        return "those who gain or lose are not ids of the roster, or too many"
    if changed and request.act is not RequestedAct.REWRAP:
        return "only a re-wrapping has people who gain or lose"
    try:
        life = parse_moment(request.expires) - parse_moment(request.issued)
    except ValueError:
        return "issued and expires are UTC times like 2026-11-29T12:00:00Z"
    if not timedelta(0) < life <= MAX_LIFE:
        return f"it must expire after it was issued, within {MAX_LIFE.days} days"
    if rule is not None and not rule.is_past(parse_moment(request.issued)):
        return "its rule's last day was not over when it was issued"
    return ""


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
