"""What the gate is asked and what it answers: JSON, every field bounded."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.access.purposes import Purpose
from agent.formats.layout import ID_PATTERN

RecordingId = Annotated[str, Field(pattern=rf"^(?:{ID_PATTERN})$", max_length=36)]
RequestId = RecordingId
HoldId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$", max_length=64)]
"A UUID where the gate gave it."
Number = Annotated[str, Field(pattern=r"^\+?[0-9*#]{2,20}$", max_length=21)]
"E.164, or an extension as it was dialled."
PersonId = Annotated[str, Field(pattern=r"^p-[a-z0-9-]{1,38}$", max_length=40)]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9/.-]*$", max_length=64)]
"A case's number in the controller's own register."
Fact = Annotated[
    str,
    Field(pattern=r"^[0-9]{0,6}([A-Za-z/.:-][A-Za-z0-9/.:-]*)?$", max_length=64),
]
"A word for the audit log, which is no number: nobody's telephone gets in there."
Base64 = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=4 * 1024 * 1024)
]


class Body(BaseModel):
    """Nothing that is not named is taken, and nothing is converted in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ReleaseRequest(Body):
    """Which envelope, and what for."""

    id: RecordingId
    day: date | None = None
    "Of the recording's end, where it is known: then nothing has to be looked for."
    purpose: Purpose
    reference: Reference = ""
    "Of the case; of the approved request where the purpose is `rewrap`."
    recipient: Fact = ""
    "To whom it goes, where the purpose is `disclosure`."
    basis: Fact = ""
    "By what right, where the purpose is `disclosure`."


class Release(Body):
    """An envelope without the gate's layer: it opens with the asker's own key."""

    id: RecordingId
    day: date
    envelope: Base64


class FindRequest(Body):
    """Calls by number, officer and days; an officer's own whatever is asked."""

    number: Number | None = None
    officer: PersonId | Number | None = None
    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]
    purpose: Purpose
    reference: Reference = ""


class Hit(Body):
    """One recording that was found."""

    id: RecordingId
    day: date


class Found(Body):
    """What was found, in order of days."""

    hits: list[Hit]
    truncated: bool
    "Whether there is more: ask for fewer days."


class HoldRequest(Body):
    """Why a record's time is to stand still."""

    kind: Literal["access-request", "restriction", "legal-claim"]
    review: date
    reference: Reference = ""


class HoldMade(Body):
    """By what the hold is lifted again."""

    id: HoldId


class HoldState(Body):
    """One hold."""

    id: HoldId
    kind: str
    owner: str
    since: str
    review: date


class RecordState(Body):
    """What is known of a record, apart from the recording."""

    id: RecordingId
    day: date
    restricted: bool
    holds: list[HoldState]
    annotations: int
    requests: int


class RestrictionRequest(Body):
    """Why only the case handler may open it from now on."""

    reason: Annotated[str, Field(pattern=r"^[a-z-]{1,32}$", max_length=32)] = "disputed"
    reference: Reference = ""


class Annotations(Body):
    """Encrypted to the recording's own key; the gate cannot read them."""

    annotations: list[Base64]


class AnnotationMade(Body):
    """Where it was put."""

    number: int


class EnvelopeRequest(Body):
    """An envelope for other keys, by an approved request."""

    request: RequestId
    envelope: Base64
    day: date | None = None


class RequestTaken(Body):
    """The request is kept, and may be executed until it expires."""

    id: RequestId


class Executed(Body):
    """What became of an approved request."""

    id: RequestId
    result: Literal["done", "pending"]
    pending_until: date | None = None
    "Where keys that hosts may still use live on until then."
    records: int


class AuditRow(Body):
    """When and why; never who."""

    time: str
    act: str
    purpose: str
    result: str


class AuditRows(Body):
    """What was done with one recording."""

    rows: list[AuditRow]
    next: date | None = None
    "The day, in UTC, from which on to ask again: it takes long to read so much."


class AuditVerdict(Body):
    """Whether the log is as its writers wrote it."""

    ok: bool
    findings: list[str]


class SweepRequest(Body):
    """Whether to do it, or to tell what would be done."""

    dry_run: bool = True


class SweepOutcome(Body):
    """What was done, or would be; no personal data."""

    dry_run: bool
    report: dict[str, Any]


class Refused(Body):
    """Every answer that is not the one asked for."""

    error: str
    "One word."
    fields: list[str] = []
    "Of a malformed body: which."
