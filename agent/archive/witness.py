"""What the gate's audit log says is in force: holds, restrictions, destroyed keys.

Documents of state lie where whoever runs the storage can delete them; the log lies
locked, chained and copied. So what it says was put on a record, and was not lifted,
holds although its document is gone, and a key that it says was destroyed is destroyed
again although a backup brought it back. Rows in, facts out: sans IO.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Final, Self

import msgspec

from agent.archive.record_state import (
    Hold,
    HoldKind,
    RecordState,
    Restriction,
)
from agent.common.errors import AgentError
from agent.common.moments import EPOCH
from agent.formats.audit import Act, Row
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import ID_PATTERN, day_of

VERSION: Final = 1
ADOPTED: Final = "adopted"
"The result of a CONFIG row: all that nobody had signed was signed."
MAX_WITNESS: Final = 256 << 20
"Bytes of the file: a hundred thousand records that are held."
_Id = Annotated[str, msgspec.Meta(pattern=rf"^{ID_PATTERN}\Z")]


class WitnessError(AgentError):
    """The file does not say what is in force."""

    hint = "Remove it: the gate then reads its whole audit log once."


class InForce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is on one record."""

    holds: dict[str, Hold] = {}
    restricted: Restriction | None = None
    annotations: tuple[int, ...] = ()


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int = VERSION
    row: int
    day: date
    adopted: bool
    records: dict[_Id, InForce]
    days: tuple[str, ...]
    holds: tuple[_Id, ...]


NOTHING: Final = InForce()


class Witness:
    """Follows the log row by row; a row that it has seen changes nothing."""

    def __init__(self) -> None:
        self.row = 0
        "Of the last that was taken."
        self.day = date.min
        "Under which rows after it may lie at the earliest."
        self.adopted = False
        "Whether all that was there before the gate is signed: what is not is forged."
        self._records: dict[str, InForce] = {}
        self.days: set[str] = set()
        "Destroyed keys of days: `2026-11-23.1`, the day and the generation."
        self.holds: set[str] = set()
        "Records whose hold keys were destroyed."

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises WitnessError."""
        try:
            file = parse_canonical(data, _File, limit=MAX_WITNESS, version=VERSION)
        except CanonicalError as error:
            raise WitnessError(f"What is in force cannot be read: {error}") from None
        made = cls()
        made.row, made.day, made.adopted = file.row, file.day, file.adopted
        made._records = {**file.records}
        made.days, made.holds = {*file.days}, {*file.holds}
        return made

    def to_bytes(self) -> bytes:
        """All of it, to go on from."""
        file = _File(
            row=self.row, day=self.day, adopted=self.adopted, records=self._records,
            days=tuple(sorted(self.days)), holds=tuple(sorted(self.holds)),
        )  # fmt: skip
        return canonical(file)

    def take(self, rows: Iterable[Row], day: date) -> None:
        """Follow rows, in order; `day` is that under which the next ones lie."""
        for row in rows:
            if row.sequence > self.row:
                self.row = row.sequence
                self._follow(row)
        self.day = day

    def ids(self) -> list[str]:
        """Records that something is in force for, in order."""
        return sorted(self._records)

    def in_force(self, state: RecordState) -> RecordState:
        """A record's state, and what of it went missing.

        One that is being erased was held by nothing when that began.
        """
        known = self._records.get(state.id)
        if known is None or state.erasing:
            return state
        numbers = {*state.annotations, *known.annotations}
        return msgspec.structs.replace(
            state,
            holds={**known.holds, **state.holds},
            restricted=state.restricted or known.restricted,
            annotations=tuple(sorted(numbers)),
        )

    def known(self, recording_id: str) -> InForce:
        """What rows have put on a record, and not lifted."""
        return self._records.get(recording_id, NOTHING)

    def explains(self, state: RecordState) -> bool:
        """Whether rows tell of all that a document says is in force."""
        known = self.known(state.id)
        restricted = state.restricted is None or known.restricted is not None
        return restricted and state.holds.keys() <= known.holds.keys()

    def _follow(self, row: Row) -> None:
        before = self._records.get(row.id, NOTHING)
        match row.act:
            case Act.HOLD if (kept := _hold(row)) is not None:
                holds = {**before.holds, row.detail["hold"]: kept}
                self._keep(row.id, msgspec.structs.replace(before, holds=holds))
            case Act.UNHOLD:
                lifted = row.detail.get("hold", "")
                holds = {one: h for one, h in before.holds.items() if one != lifted}
                self._keep(row.id, msgspec.structs.replace(before, holds=holds))
            case Act.RESTRICT if before.restricted is None:
                by = Restriction(
                    by=row.who, since=_day(row), reason=row.detail.get("reason", "")
                )
                self._keep(row.id, msgspec.structs.replace(before, restricted=by))
            case Act.UNRESTRICT:
                self._keep(row.id, msgspec.structs.replace(before, restricted=None))
            case Act.ANNOTATE if (number := row.detail.get("number", "")).isdigit():
                numbers = tuple(sorted({*before.annotations, int(number)}))
                changed = msgspec.structs.replace(before, annotations=numbers)
                self._keep(row.id, changed)
            case Act.CONFIG if row.result == ADOPTED:
                self.adopted = True
            case Act.ERASED:
                self._records.pop(row.id, None)
            case Act.KEY_DESTROYED if row.id:
                self.holds.add(row.id)
            case Act.KEY_DESTROYED:
                if {"day", "generation"} <= row.detail.keys():
                    self.days.add(f"{row.detail['day']}.{row.detail['generation']}")
            case _:
                return

    def _keep(self, recording_id: str, known: InForce) -> None:
        if known == NOTHING:
            self._records.pop(recording_id, None)
        elif recording_id:
            self._records[recording_id] = known


def _hold(row: Row) -> Hold | None:
    """The hold that a row tells of; None of a row that tells none."""
    told = {"kind": row.detail.get("kind"), "review": row.detail.get("review")}
    if not row.detail.get("hold"):
        return None
    made = {"owner": row.who, "since": _day(row), "reference": row.reference, **told}
    try:
        return msgspec.convert(made, Hold)
    except msgspec.ValidationError:
        # Of a newer gate, whose words are not known here: it is kept all the same.
        return Hold(
            kind=HoldKind.LEGAL_CLAIM, owner=row.who, since=_day(row), review=_day(row)
        )


def _day(row: Row) -> date:
    """The local day on which it was written."""
    return day_of((row.moment - EPOCH) // timedelta(microseconds=1) * 1000)
