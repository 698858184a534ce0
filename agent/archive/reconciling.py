"""The audit log against the object store's own: every read of a key envelope has a row.

Sans IO. The gate alone may read in `keys/`, and writes a row for what it reads it for.
A read that no row explains was made around the gate.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from agent.archive.access_log import Access, Kind
from agent.common.moments import moment_text
from agent.formats.audit import Act, Row
from agent.formats.layout import Folder, LayoutError, parse_dated

WINDOW: Final = timedelta(minutes=10)
"Between a read and its row: clocks differ, and what is bulk takes its time."
MAX_UNEXPLAINED: Final = 1000
"That are named; more are counted."
READING: Final = frozenset(
    {
        Act.RELEASE, Act.DENIED, Act.HOLD, Act.UNHOLD, Act.REWRAP, Act.ERASE,
        Act.ERASED, Act.SWEEP, Act.DRILL, Act.RESTRICT, Act.UNRESTRICT,
        Act.KEY_MADE, Act.KEY_DESTROYED,
    }
)  # fmt: skip
"For which the gate reads an envelope."


class Why(StrEnum):
    """What is wrong with an access."""

    NO_ROW = "no-row"
    "The gate's own credentials were used, and no row says what for."
    NOT_THE_GATE = "not-the-gate"
    "Others' credentials have no business in `keys/`."
    COPY = "copy"
    "Nobody of ours copies objects within the store."
    STRANGE_NAME = "strange-name"
    "Under `keys/` lies what is no envelope, and it was read."


@dataclass(frozen=True, slots=True)
class Unexplained:
    """One access that no row explains."""

    at: datetime
    user: str
    why: Why
    id: str
    "Of the recording; empty where the name has none."

    def __str__(self) -> str:
        when, id_ = moment_text(self.at), self.id or "-"
        return f"{when} {self.why} {id_} by {self.user or 'nobody'}"


@dataclass(slots=True)
class Reconciled:
    """What became of the store's log of some time."""

    reads: int = 0
    "Of key envelopes, that succeeded."
    unexplained: list[Unexplained] = field(default_factory=list)
    more: int = 0
    "That are unexplained and not named."

    @property
    def alarm(self) -> bool:
        """Whether somebody read around the gate."""
        return bool(self.unexplained)


class Rows:
    """When the gate wrote down that it had to do with a recording, or a whole day."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._of: dict[str, list[datetime]] = {}
        for row in rows:
            if row.act in READING:
                # A sweep and an early erasure re-wrap what else is of that day.
                for what in {row.id, row.detail.get("day", "")} - {""}:
                    self._of.setdefault(what, []).append(row.moment)
        for moments in self._of.values():
            moments.sort()

    def explain(self, recording_id: str, day: str, at: datetime) -> bool:
        """Whether there is a row near that moment."""
        return any(self._near(what, at) for what in (recording_id, day))

    def _near(self, what: str, at: datetime) -> bool:
        moments = self._of.get(what, [])
        place = bisect_left(moments, at - WINDOW)
        return place < len(moments) and moments[place] <= at + WINDOW


@dataclass(frozen=True, slots=True)
class Place:
    """What the store calls the storage's `url`, and the gate."""

    bucket: str
    prefix: str = ""
    "Folder in the bucket."
    gate: Collection[str] = ()
    "Names of users that the gate's credentials belong to."

    @property
    def root(self) -> str:
        """What all names of the storage's objects begin with."""
        return f"{self.prefix.strip('/')}/".removeprefix("/")

    def is_concerned(self, access: Access) -> bool:
        """Whether it gave an envelope away, or may have. What failed gave nothing."""
        return (
            access.bucket == self.bucket
            and access.succeeded
            and (
                access.kind is Kind.COPY
                or (
                    access.kind is Kind.READ
                    and access.key.startswith(f"{self.root}{Folder.KEYS}/")
                )
            )
        )


def reconcile(accesses: Iterable[Access], rows: Rows, place: Place) -> Reconciled:
    """Hold the store's log against the gate's.

    The rows are those of the same time and WINDOW more at either end.
    """
    result = Reconciled()
    for access in filter(place.is_concerned, accesses):
        if access.kind is Kind.COPY:
            _tell(result, access, Why.COPY, "")
        else:
            result.reads += 1
            _judge(result, access, rows, place)
    return result


def _judge(result: Reconciled, access: Access, rows: Rows, place: Place) -> None:
    try:
        name = parse_dated(access.key.removeprefix(place.root))
    except LayoutError:
        _tell(result, access, Why.STRANGE_NAME, "")
        return
    if access.user not in place.gate:
        _tell(result, access, Why.NOT_THE_GATE, name.id)
    elif not rows.explain(name.id, name.day.isoformat(), access.at.astimezone(UTC)):
        _tell(result, access, Why.NO_ROW, name.id)


def _tell(result: Reconciled, access: Access, why: Why, recording_id: str) -> None:
    if len(result.unexplained) < MAX_UNEXPLAINED:
        result.unexplained.append(
            Unexplained(access.at, access.user, why, recording_id)
        )
    else:
        result.more += 1
