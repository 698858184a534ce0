"""The host's seal: what it stored of a recording, signed, chained to the seal before.

FORMAT.md, section "Seal". It is in the clear, and says nothing about people: whose keys
an envelope was sealed to is told by fingerprints that only who opens it can compare.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Self

import msgspec

from agent.common.errors import AgentError
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import Folder, LayoutError, parse_dated, valid_id
from agent.formats.signed import sign_document, split_document, verify_document
from agent.formats.sshsig import Namespace, PublicKey, SignatureError, SigningKey

VERSION: Final = 1
MAX_SEAL: Final = 1 << 18
"Bytes; with 500 recipients and 1000 objects it takes less."
MAX_OBJECTS: Final = 1000
"A recording has two, a salvaged one a journal for each of its writers."
MAX_RECIPIENTS: Final = 500
FIRST: Final = "0" * 64
"Stands for the seal before the first."
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HOST: Final = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_SEALED: Final = {Folder.AUDIO, Folder.MANIFEST}

Hosts = Mapping[str, Iterable[PublicKey]]
"Rostered hosts by name: every key each has, or had while its seals are still kept."


class SealError(AgentError):
    """A seal is not what a rostered host has signed."""

    hint = "Keep the objects as they are, and find out who has altered them."


class SealedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One object as it was stored: ciphertext."""

    key: str
    sha256: str
    size: int


class Addressees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To whom an envelope was sealed, without saying who that is."""

    segment_key: str
    "`sha256:` and the digest of the segment's recipient text."
    recipients: tuple[str, ...]
    "A fingerprint each, sorted."

    @classmethod
    def of(cls, segment: str, recipients: Iterable[str]) -> Self:
        """From recipient texts: the segment's own, and those of who may open it."""
        named = {recipient_fingerprint(segment, one) for one in recipients}
        return cls(segment_key=segment_digest(segment), recipients=tuple(sorted(named)))

    def to_bytes(self) -> bytes:
        """Canonical JSON, as it lies in the spool beside the envelope."""
        return canonical(self)


UNKNOWN: Final = Addressees(segment_key="", recipients=())
"Of an envelope that was made before the host signed its recordings."


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a host says of one recording that it stored."""

    version: int = VERSION
    id: str
    day: str
    "Under which its objects are filed, `2026-11-23`."
    host: str
    chain: str
    "A random UUID, one for each spool: a host with a new disk begins a new chain."
    sequence: int
    "Its number in the chain, from 1."
    previous: str
    "SHA-256 of the whole seal before it, in hexadecimal; of none: 64 zeros."
    objects: tuple[SealedFile, ...]
    "Audio and manifest, or journals. Not the envelope: it is wrapped anew, and erased."
    segment_key: str
    "As in Addressees; empty if the host did not know it any more."
    recipients: tuple[str, ...]
    sealed_at: str
    "UTC with milliseconds, `2026-11-23T12:34:56.789Z`."


class SealPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in which chain a seal stood: what a tombstone keeps of it."""

    host: str
    chain: str
    sequence: int
    sha256: str
    "Of the whole seal."


def segment_digest(segment: str) -> str:
    """`sha256:` and the digest of a segment's recipient text (`age1…`)."""
    return f"sha256:{hashlib.sha256(segment.encode()).hexdigest()}"


def recipient_fingerprint(segment: str, recipient: str) -> str:
    """A recipient's name in the seal of one segment: HMAC-SHA-256 in hexadecimal.

    Keyed by the segment's recipient text, which only the envelope holds: nobody else
    can tell that two recordings were sealed to one person.
    """
    return hmac.digest(segment.encode(), recipient.encode(), "sha256").hex()


def seal_digest(data: bytes) -> str:
    """What the next seal calls `previous`."""
    return hashlib.sha256(data).hexdigest()


def seal_place(data: bytes, statement: Statement) -> SealPlace:
    """Where a seal stands in its chain."""
    return SealPlace(
        host=statement.host,
        chain=statement.chain,
        sequence=statement.sequence,
        sha256=seal_digest(data),
    )


def sign_seal(statement: Statement, key: SigningKey) -> bytes:
    """The signed document. Raises SealError if a reader would refuse it."""
    _check(statement)
    return sign_document(canonical(statement), [key], Namespace.SEAL)


def parse_seal(data: bytes) -> Statement:
    """Read a seal without its signature. Raises SealError."""
    if len(data) > MAX_SEAL:
        raise SealError("The seal is longer than any that is believed.")
    try:
        payload, _ = split_document(data)
        statement = parse_canonical(payload, Statement, version=VERSION)
    except (SignatureError, CanonicalError) as error:
        raise SealError(f"The seal is malformed: {error}") from None
    _check(statement)
    return statement


def verify_seal(data: bytes, hosts: Hosts) -> Statement:
    """What a rostered host has signed of a recording.

    Raises SealError: it is malformed, of a host that is not in the roster, or not
    signed by that host's key.
    """
    statement = parse_seal(data)
    keys = hosts.get(statement.host)
    if keys is None:
        raise SealError(f"The seal is of {statement.host!r}, no host of the roster.")
    try:
        verify_document(data, Namespace.SEAL, keys)
    except SignatureError as error:
        raise SealError(f"The seal is not signed by its host: {error}") from None
    return statement


def parse_addressees(data: bytes) -> Addressees:
    """Read what lies beside an envelope in the spool. Raises SealError."""
    try:
        found = parse_canonical(data, Addressees, limit=MAX_SEAL)
    except CanonicalError as error:
        raise SealError(f"The addressees are malformed: {error}") from None
    _check_addressees(found.segment_key, found.recipients)
    return found


def _check(statement: Statement) -> None:
    try:
        day = date.fromisoformat(statement.day)
    except ValueError:
        raise SealError("The seal names no day.") from None
    sound = (
        day.isoformat() == statement.day
        and valid_id(statement.id)
        and valid_id(statement.chain)
        and _HOST.fullmatch(statement.host)
        and statement.sequence > 0
        and _HEX.fullmatch(statement.previous)
        and (statement.sequence == 1) == (statement.previous == FIRST)
        and _MOMENT.fullmatch(statement.sealed_at)
        and 0 < len(statement.objects) <= MAX_OBJECTS
    )
    if not sound:
        raise SealError("The seal says what no host says.")
    for found in statement.objects:
        _check_object(found, statement.id, day)
    keys = [found.key for found in statement.objects]
    if len(set(keys)) != len(keys):
        raise SealError("The seal names an object twice.")
    _check_addressees(statement.segment_key, statement.recipients)


def _check_object(found: SealedFile, recording_id: str, day: date) -> None:
    try:
        place = parse_dated(found.key)
    except LayoutError as error:
        raise SealError(f"The seal names a strange object: {error}") from None
    if (place.id, place.day) != (recording_id, day) or place.folder not in _SEALED:
        raise SealError("The seal names an object of another recording.")
    if _HEX.fullmatch(found.sha256) is None or found.size < 0:
        raise SealError("The seal has an object whose digest is none.")


def _check_addressees(segment_key: str, recipients: tuple[str, ...]) -> None:
    known = bool(segment_key)
    if known and _HEX.fullmatch(segment_key.removeprefix("sha256:")) is None:
        raise SealError("The segment's key has a digest that is none.")
    if len(recipients) > MAX_RECIPIENTS or known is not bool(recipients):
        raise SealError("No envelope is sealed to so many.")
    if not all(map(_HEX.fullmatch, recipients)) or list(recipients) != sorted(
        set(recipients)
    ):
        raise SealError("The recipients' fingerprints are malformed.")
