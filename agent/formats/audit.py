"""The rows of an audit log, and the objects that carry them.

FORMAT.md, "Audit log". An object is a signed document: one line of canonical JSON, then
the writer's signature. Each names the digest of the one before it, so that none can be
altered, removed, swapped or put in between unseen.
"""

import hashlib
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from agent.common.errors import AgentError
from agent.common.moments import moment_of, time_text
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import ID_PATTERN
from agent.formats.signed import sign_document, split_document, verify_document
from agent.formats.sshsig import Namespace, PublicKey, SignatureError, SigningKey

VERSION: Final = 1
MAX_ROWS: Final = 1000
"Of one object: what waits is written together."
MAX_OBJECT: Final = 4 << 20
"Bytes: a thousand of the longest rows, and signatures."
MAX_DETAILS: Final = 16
BACK: Final = "back"
"The result of a ROLL after which the log goes on under an earlier day."
GENESIS: Final = "0" * 64
"Stands for the digest of an object before the first."

_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z"
# No spaces, so no full names; and a telephone number is no word.
_VALUE: Final = r"^(?!\+?[0-9]{7,}\Z)[A-Za-z0-9:._/+=-]*\Z"

Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]*\Z", max_length=32)]
Value = Annotated[str, msgspec.Meta(pattern=_VALUE, max_length=128)]
Actor = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=64)
]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class AuditError(AgentError):
    """The bytes are not an object of the audit log as its writer signed it."""

    hint = "Keep it and the log's copies elsewhere, and find out who could alter it."


class RowError(AgentError):
    """The row would hold what no row may: a name, a number, something unbounded."""

    hint = (
        "Rows hold ids and words; have the software mended that wrote something else."
    )


class Act(StrEnum):
    """What was done, or tried."""

    FIND = "find"
    RELEASE = "release"
    DENIED = "denied"
    HOLD = "hold"
    UNHOLD = "unhold"
    RESTRICT = "restrict"
    UNRESTRICT = "unrestrict"
    ANNOTATE = "annotate"
    REWRAP = "rewrap"
    REQUEST = "request"
    APPROVE = "approve"
    ERASE = "erase"
    "Was asked for, or begins."
    ERASED = "erased"
    "Is complete: nothing opens it any more."
    SWEEP = "sweep"
    KEY_MADE = "key-made"
    KEY_DESTROYED = "key-destroyed"
    KEY_PROBLEM = "key-problem"
    EXPORT = "export"
    AUDIT_READ = "audit-read"
    CONFIG = "config"
    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    STOP_RECORDING = "stop-recording"
    COMMAND = "command"
    "Came over a network, from somebody of the roster; its result says what came of it."
    DRILL = "drill"
    ALARM = "alarm"
    ROLL = "roll"
    "Closes a day: the object after it is filed under the day that it names."


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One act; nothing in it is a name, a number or free text."""

    sequence: Annotated[int, msgspec.Meta(ge=1)]
    time: Annotated[str, msgspec.Meta(pattern=_TIME)]
    "UTC, ISO 8601 with milliseconds."
    who: Actor
    "A person's id, or the name of the gate or host."
    act: Word
    "An Act; one that a newer version knows is read as it is."
    purpose: Word = ""
    id: Annotated[str, msgspec.Meta(pattern=rf"^(?:{ID_PATTERN})?\Z")] = ""
    "Of the recording."
    result: Word = "ok"
    "`ok`, or in one word what came of it."
    reference: Annotated[
        str, msgspec.Meta(pattern=r"^[A-Za-z0-9/.-]*\Z", max_length=64)
    ] = ""
    "Of the case it was done for, in the controller's own register."
    detail: dict[Word, Value] = {}

    @property
    def moment(self) -> datetime:
        """`time`, as a moment. Raises ValueError if no calendar has it."""
        return datetime.fromisoformat(self.time)


class Page(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one object of the log holds."""

    version: int = VERSION
    writer: Actor
    first: Annotated[int, msgspec.Meta(ge=1)]
    "Sequence of its first row; the object's name says it too."
    previous: Digest
    "SHA-256 of the whole object before this one."
    rows: Annotated[tuple[Row, ...], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]

    @property
    def last(self) -> int:
        """Sequence of its last row."""
        return self.first + len(self.rows) - 1

    @property
    def goes_back(self) -> bool:
        """Whether it says that the next object is filed under an earlier day."""
        row = self.rows[-1]
        return row.act == Act.ROLL and row.result == BACK

    def rolls_to(self) -> date | None:
        """The day under which the next object is filed, if this one closes its day."""
        row = self.rows[-1]
        if row.act != Act.ROLL:
            return None
        return _parsed_day(row.detail.get("day", ""))


def utc_day(utc_ns: int) -> date:
    """The UTC day of a moment: days of an audit log are everybody's."""
    return moment_of(utc_ns).date()


def make_row(
    sequence: int,
    utc_ns: int,
    who: str,
    act: str,
    *,
    purpose: str = "",
    recording_id: str = "",
    result: str = "ok",
    reference: str = "",
    detail: dict[str, str] | None = None,
) -> Row:
    """A row that every reader takes. Raises RowError, which repeats no value."""
    row = Row(
        sequence=sequence, time=time_text(utc_ns), who=who, act=act, purpose=purpose,
        id=recording_id, result=result, reference=reference, detail=detail or {},
    )  # fmt: skip
    check_row(row)
    return row


def check_row(row: Row) -> None:
    """Raises RowError if a row holds what none may; the message repeats no value."""
    try:
        msgspec.convert(msgspec.to_builtins(row), Row)
        known = row.moment is not None
    except (msgspec.ValidationError, ValueError):
        known = False
    if not known or len(row.detail) > MAX_DETAILS:
        raise RowError("A row of the audit log has a field that none may have.")


def host_of(writer: str) -> str:
    """The host that has the log of a writer `<host>.<spool>`; empty: it is no host's.

    Each of a host's spools has a log of its own, signed by the host's key.
    """
    return writer.rpartition(".")[0]


def sign_page(page: Page, key: SigningKey) -> bytes:
    """The object as it is stored."""
    return sign_document(canonical(page), [key], Namespace.AUDIT)


def open_page(data: bytes, trusted: Iterable[PublicKey]) -> Page:
    """What an object holds that one of `trusted` signed.

    Raises AuditError: it is malformed, altered, or signed by nobody who may.
    """
    if len(data) > MAX_OBJECT:
        raise AuditError("The object is longer than any of an audit log.")
    try:
        verified = verify_document(data, Namespace.AUDIT, trusted)
        page = parse_canonical(
            verified.payload, Page, limit=MAX_OBJECT, version=VERSION
        )
        for number, row in enumerate(page.rows, page.first):
            check_row(row)
            if row.sequence != number:
                raise AuditError("The object's rows are not in the order of numbers.")
        page.rolls_to()
    except (SignatureError, CanonicalError, RowError) as error:
        raise AuditError(str(error)) from None
    return page


def peek_page(data: bytes) -> Page:
    """What an object says, whoever signed it: for where to look, never for a report.

    Raises AuditError.
    """
    try:
        payload, _ = split_document(data)
        page = parse_canonical(payload, Page, limit=MAX_OBJECT, version=VERSION)
        page.rolls_to()
    except (SignatureError, CanonicalError) as error:
        raise AuditError(str(error)) from None
    return page


def digest_of(data: bytes) -> str:
    """What the next object names this one by."""
    return hashlib.sha256(data).hexdigest()


def _parsed_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise AuditError("The object closes a day and names no next one.") from None
