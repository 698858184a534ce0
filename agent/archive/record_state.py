"""What holds for one recording beside its sealed objects: holds, restriction, erasure.

Sans IO: each change is a function from one state to the next, and is refused where it
does not fit. Persons stand here by their ids; nothing is free text.
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from agent.common.errors import AgentError
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import ID_PATTERN, MAX_DOCUMENT

VERSION: Final = 1
MAX_STATE: Final = 1 << 18
"Bytes of a document: a hundred holds and requests, a thousand annotations."
MAX_HOLDS: Final = 100
MAX_REQUESTS: Final = 100
MAX_ANNOTATIONS: Final = 1000
LONG_HOLD: Final = timedelta(days=90)
"A hold that lasts longer is reported: it may have been forgotten."

Person = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z", description="A person's id.")
]
Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,32}\Z")]
Reference = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9/.-]{0,64}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
Instant = Annotated[str, msgspec.Meta(pattern=r"^[0-9T:.-]{0,30}Z?\Z")]

Reason = Literal["hold", "restriction", "request"]


class StateError(AgentError):
    """The change does not fit the recording's state."""

    hint = "Look at its state first."


class RecordErasedError(StateError):
    """The recording is being erased, or has been: nothing holds it any more."""

    hint = ""


class HoldKind(StrEnum):
    """Why a recording is kept beyond its time."""

    ACCESS_REQUEST = "access-request"
    RESTRICTION = "restriction"
    LEGAL_CLAIM = "legal-claim"


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reason not to erase, with an owner and a day to think again."""

    kind: HoldKind
    owner: Person
    since: date
    review: date
    reference: Reference = ""


class Restriction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Only the case handler gets a release (GDPR Art. 18)."""

    by: Person
    since: date
    reason: Word


class OpenRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A person's request that this recording belongs to, as long as it is open."""

    by: Person
    since: date
    kind: Word


class RecordState(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """One numbered document; the newest counts. Number 0: there is none yet."""

    version: int = VERSION
    id: Annotated[str, msgspec.Meta(pattern=rf"^{ID_PATTERN}\Z")]
    number: Annotated[int, msgspec.Meta(ge=0, le=MAX_DOCUMENT)] = 0
    previous: Digest = ""
    "SHA-256 of the whole document before this one; empty: there was none."
    restricted: Restriction | None = None
    holds: Annotated[dict[Label, Hold], msgspec.Meta(max_length=MAX_HOLDS)] = {}
    requests: Annotated[
        dict[Label, OpenRequest], msgspec.Meta(max_length=MAX_REQUESTS)
    ] = {}
    annotations: Annotated[
        tuple[int, ...], msgspec.Meta(max_length=MAX_ANNOTATIONS)
    ] = ()
    "Numbers of those that were added, in order."
    erasing: Instant = ""
    "When erasure began, in UTC; never taken back. Empty: it did not."

    @property
    def stops_clock(self) -> tuple[Reason, ...]:
        """Why its time is not over even if the year is; empty: it is."""
        reasons: list[tuple[Reason, bool]] = [
            ("hold", bool(self.holds)),
            ("restriction", self.restricted is not None),
            ("request", bool(self.requests)),
        ]
        return tuple(reason for reason, stands in reasons if stands)

    def long_holds(self, today: date) -> dict[str, Hold]:
        """Holds of more than 90 days, or whose day of review has passed."""
        return {
            name: hold
            for name, hold in self.holds.items()
            if today - hold.since > LONG_HOLD or hold.review < today
        }


def encode_state(state: RecordState) -> bytes:
    """The document as it is stored."""
    return canonical(state)


def parse_state_document(data: bytes, recording_id: str, number: int) -> RecordState:
    """Read a document, found under this id and number. Raises StateError."""
    try:
        state = parse_canonical(data, RecordState, limit=MAX_STATE, version=VERSION)
    except CanonicalError as error:
        raise StateError(f"A document of state: {error}") from None
    if (state.id, state.number) != (recording_id, number):
        raise StateError("A document of state lies in another's place.")
    return state


def hold(state: RecordState, name: str, given: Hold) -> RecordState:
    """Keep a recording; the same hold again changes nothing. Raises StateError."""
    if state.holds.get(name, given) != given:
        raise StateError("Another hold has that name.")
    if name not in state.holds and len(state.holds) >= MAX_HOLDS:
        raise StateError("The recording has too many holds.")
    return _checked(msgspec.structs.replace(state, holds={**state.holds, name: given}))


def lift_hold(state: RecordState, name: str) -> RecordState:
    """End a hold. Raises StateError if there is none of that name."""
    if name not in state.holds:
        raise StateError("There is no such hold.")
    rest = {other: kept for other, kept in state.holds.items() if other != name}
    return msgspec.structs.replace(state, holds=rest)


def restrict(state: RecordState, given: Restriction) -> RecordState:
    """Restrict a recording. Raises StateError if it is, by another or otherwise."""
    if state.restricted not in {None, given}:
        raise StateError("The recording is restricted already.")
    return _checked(msgspec.structs.replace(state, restricted=given))


def unrestrict(state: RecordState) -> RecordState:
    """End a restriction. Raises StateError if there is none."""
    if state.restricted is None:
        raise StateError("The recording is not restricted.")
    return msgspec.structs.replace(state, restricted=None)


def open_request(state: RecordState, name: str, given: OpenRequest) -> RecordState:
    """Note that a person's open request needs this recording. Raises StateError."""
    if state.requests.get(name, given) != given:
        raise StateError("Another request has that name.")
    if name not in state.requests and len(state.requests) >= MAX_REQUESTS:
        raise StateError("The recording has too many open requests.")
    return _checked(
        msgspec.structs.replace(state, requests={**state.requests, name: given})
    )


def close_request(state: RecordState, name: str) -> RecordState:
    """Note that a request is answered. Raises StateError if there is none."""
    if name not in state.requests:
        raise StateError("There is no such request.")
    rest = {other: kept for other, kept in state.requests.items() if other != name}
    return msgspec.structs.replace(state, requests=rest)


def annotate(state: RecordState) -> RecordState:
    """Give the next annotation its number, the last of `annotations`.

    Raises StateError.
    """
    if len(state.annotations) >= MAX_ANNOTATIONS:
        raise StateError("The recording has too many annotations.")
    number = state.annotations[-1] + 1 if state.annotations else 1
    return msgspec.structs.replace(state, annotations=(*state.annotations, number))


def begin_erasing(state: RecordState, instant: str) -> RecordState:
    """Let nothing hold it from now on. Raises StateError if something does."""
    if state.stops_clock:
        raise StateError(f"Its time is not over: {', '.join(state.stops_clock)}.")
    return _checked(msgspec.structs.replace(state, erasing=instant))


def _checked(state: RecordState) -> RecordState:
    """Raises StateError if a field is none that a reader would take."""
    try:
        return msgspec.json.decode(msgspec.json.encode(state), type=RecordState)
    except msgspec.ValidationError:
        # The cause repeats what was given, which may be a name.
        raise StateError("A field of the change is malformed.") from None
