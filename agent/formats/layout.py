"""The names of objects in central storage: made here, and read back here.

FORMAT.md, "Names in central storage". A name holds days, random ids, blind values and
numbers; nothing that a person wrote ever becomes part of one.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Literal, TypeGuard
from zoneinfo import ZoneInfo

from agent.common.errors import AgentError
from agent.common.moments import moment_of

HELSINKI: Final = ZoneInfo("Europe/Helsinki")
"Where the days of recordings begin and end."
MAX_SEQUENCE: Final = 10**12 - 1
"Of an audit row: twelve digits, so that names are in the order of numbers."
MAX_DOCUMENT: Final = 999_999
"Of a record's documents of state: six digits."

Domain = Literal["caller", "officer"]

ID_PATTERN: Final = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
"The text form of a random UUID, as a regular expression."
_DAY: Final = r"\d{4}/\d\d/\d\d"
_WRITER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NAME: Final = re.compile(rf"({ID_PATTERN})\.([a-z0-9]+(?:\.[a-z0-9]+)?)", re.ASCII)
_DATED: Final = re.compile(rf"([a-z]+)/({_DAY})/({_NAME.pattern})", re.ASCII)
_MONTH: Final = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)
_BLIND: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INDEX: Final = re.compile(
    rf"index/({_MONTH.pattern})/(?:(caller|officer)/([0-9a-f]{{64}})|unindexed)/({ID_PATTERN})",
    re.ASCII,
)
_STATE: Final = re.compile(rf"state/({ID_PATTERN})/(\d{{6}})\.json", re.ASCII)
_AUDIT: Final = re.compile(
    rf"audit/({_WRITER.pattern})/({_DAY})/(\d{{12}})\.json", re.ASCII
)
_VALID_ID: Final = re.compile(ID_PATTERN, re.ASCII)


class LayoutError(AgentError):
    """It is no name of ours, or cannot become part of one."""

    hint = "Find out who put it there: the agent neither writes nor reads such names."


class Folder(StrEnum):
    """The first part of an object's name."""

    AUDIO = "audio"
    MANIFEST = "manifest"
    "Sealed manifests, and the hosts' seals."
    NOTICES = "notices"
    AUDIT = "audit"
    KEYS = "keys"
    INDEX = "index"
    STATE = "state"
    ANNOTATIONS = "annotations"
    TOMBSTONES = "tombstones"
    ERASURES = "erasures"
    "Marks of what is being erased, until every storage has confirmed it."
    GATE = "gate"

    @property
    def target(self) -> Literal["locked", "state"]:
        """Which of a storage's two URLs it is in."""
        return "locked" if self in _LOCKED else "state"


_UNDER_DAYS: Final = {
    str(folder): folder
    for folder in (Folder.AUDIO, Folder.MANIFEST, Folder.KEYS, Folder.TOMBSTONES)
}
_LOCKED: Final = {Folder.AUDIO, Folder.MANIFEST, Folder.NOTICES, Folder.AUDIT}


@dataclass(frozen=True, slots=True)
class Dated:
    """A name under a day: of audio, a manifest, a seal, an envelope, a tombstone."""

    folder: Folder
    day: date
    id: str
    suffix: str
    "What follows the id and a dot: `wav.age`, `key.age`, `seal`, `json`."


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The name of one index object."""

    month: str
    domain: Domain | None
    "None where no index key was there: the recording is in the month, and unindexed."
    blind: str
    id: str


@dataclass(frozen=True, slots=True)
class AuditName:
    """The name of one object of an audit log."""

    writer: str
    day: date
    "Of its first row, in UTC."
    sequence: int
    "Of its first row."


def valid_id(text: object) -> TypeGuard[str]:
    """Whether it is the text form of a random UUID, as agent.common.ids makes it."""
    return isinstance(text, str) and _VALID_ID.fullmatch(text) is not None


def day_of(utc_ns: int) -> date:
    """The local day of a recording's end, from which its year counts."""
    utc = moment_of(utc_ns)
    return utc.astimezone(HELSINKI).date()


def month_of(day: date) -> str:
    """The month of a day, as the index names it: `2026-11`."""
    return f"{day.year:04}-{day.month:02}"


def day_prefix(folder: str, day: date) -> str:
    """The folder of a day: `keys/2026/11/23`."""
    return f"{folder}/{day.year:04}/{day.month:02}/{day.day:02}"


def dated(folder: str, day: date, name: str) -> str:
    """The name of a recording's object: `keys/2026/11/23/<name>`.

    `name` is the id, a dot, and what the object is. Raises LayoutError if it is not.
    """
    if _NAME.fullmatch(name) is None:
        raise LayoutError("A recording's object has a name that is none.")
    return f"{day_prefix(folder, day)}/{name}"


def parse_dated(key: str) -> Dated:
    """Read a name under a day. Raises LayoutError."""
    found = _DATED.fullmatch(key)
    folder = None if found is None else _UNDER_DAYS.get(found[1])
    if found is None or folder is None:
        raise LayoutError("An object under a day has a name that is none.")
    return Dated(folder, _day(found[2]), found[4], found[5])


def envelope_key(day: date, recording_id: str) -> str:
    """The name of a recording's key envelope. Raises LayoutError."""
    return dated(Folder.KEYS, day, f"{recording_id}.key.age")


def manifest_key(day: date, recording_id: str) -> str:
    """The name of a sealed manifest. Raises LayoutError."""
    return dated(Folder.MANIFEST, day, f"{recording_id}.json.age")


def seal_key(day: date, recording_id: str) -> str:
    """The name of a host's seal on a recording. Raises LayoutError."""
    return dated(Folder.MANIFEST, day, f"{recording_id}.seal")


def tombstone_key(day: date, recording_id: str) -> str:
    """The name of a tombstone; `day` is that of the erasure. Raises LayoutError."""
    return dated(Folder.TOMBSTONES, day, f"{recording_id}.json")


def index_key(month: str, domain: Domain, blind: str, recording_id: str) -> str:
    """The name of an index object. Raises LayoutError."""
    if _BLIND.fullmatch(blind) is None:
        raise LayoutError("A blind value is 64 hexadecimal digits.")
    return f"{index_prefix(month, domain)}/{blind}/{_checked(recording_id)}"


def unindexed_key(month: str, recording_id: str) -> str:
    """Where a recording is named that had no index key. Raises LayoutError."""
    return f"{index_prefix(month, None)}/{_checked(recording_id)}"


def index_prefix(month: str, domain: Domain | None) -> str:
    """The folder of a month's index, or of its unindexed recordings.

    Raises LayoutError.
    """
    if _MONTH.fullmatch(month) is None:
        raise LayoutError("A month is written like 2026-11.")
    return f"{Folder.INDEX}/{month}/{domain or 'unindexed'}"


def parse_index(key: str) -> IndexEntry:
    """Read the name of an index object. Raises LayoutError."""
    if (found := _INDEX.fullmatch(key)) is None:
        raise LayoutError("An object of the index has a name that is none.")
    domain: Domain | None = None
    if found[2] is not None:
        domain = "caller" if found[2] == "caller" else "officer"
    return IndexEntry(found[1], domain, found[3] or "", found[4])


def state_prefix(recording_id: str) -> str:
    """The folder of a record's documents of state. Raises LayoutError."""
    return f"{Folder.STATE}/{_checked(recording_id)}"


def state_key(recording_id: str, number: int) -> str:
    """The name of a document of state, 1 and up. Raises LayoutError."""
    if not 0 < number <= MAX_DOCUMENT:
        raise LayoutError("A record cannot have so many documents of state.")
    return f"{state_prefix(recording_id)}/{number:06}.json"


def parse_state(key: str) -> tuple[str, int]:
    """Read the name of a document of state: id and number. Raises LayoutError."""
    if (found := _STATE.fullmatch(key)) is None or int(found[2]) == 0:
        raise LayoutError("A document of state has a name that is none.")
    return found[1], int(found[2])


def annotation_prefix(recording_id: str) -> str:
    """The folder of a record's annotations. Raises LayoutError."""
    return f"{Folder.ANNOTATIONS}/{_checked(recording_id)}"


def annotation_key(recording_id: str, number: int) -> str:
    """The name of an annotation, 1 and up. Raises LayoutError."""
    if not 0 < number <= MAX_DOCUMENT:
        raise LayoutError("A record cannot have so many annotations.")
    return f"{annotation_prefix(recording_id)}/{number:06}.age"


def audit_prefix(writer: str) -> str:
    """The folder of a writer's audit log. Raises LayoutError."""
    if _WRITER.fullmatch(writer) is None:
        raise LayoutError("A writer's name holds letters, digits, dots and hyphens.")
    return f"{Folder.AUDIT}/{writer}"


def audit_key(writer: str, day: date, sequence: int) -> str:
    """The name of an audit object: `sequence` and `day` (UTC) are its first row's.

    Raises LayoutError.
    """
    if not 0 < sequence <= MAX_SEQUENCE:
        raise LayoutError("An audit log cannot have so many rows.")
    return f"{day_prefix(audit_prefix(writer), day)}/{sequence:012}.json"


def parse_audit(key: str) -> AuditName:
    """Read the name of an audit object. Raises LayoutError."""
    if (found := _AUDIT.fullmatch(key)) is None or int(found[3]) == 0:
        raise LayoutError("An audit object has a name that is none.")
    return AuditName(found[1], _day(found[2]), int(found[3]))


def _checked(recording_id: str) -> str:
    if not valid_id(recording_id):
        raise LayoutError("A recording's id is a random UUID.")
    return recording_id


def _day(text: str) -> date:
    year, month, day = map(int, text.split("/"))
    try:
        return date(year, month, day)
    except ValueError:
        raise LayoutError("A name has a day that no calendar has.") from None
