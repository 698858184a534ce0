"""Marks: what is to be erased, written down before anything is, so that it ends.

A mark is one JSON document in central storage: of a day whose time is over, or of one
record that goes early. Whoever comes after a killed sweep goes on from it. It is
removed when every storage has confirmed that nothing is left.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Self

import msgspec

from agent.common.errors import AgentError
from agent.common.moments import EPOCH, time_text
from agent.formats.canonical import CanonicalError, canonical, parse_canonical
from agent.formats.layout import ID_PATTERN, Folder, valid_id

VERSION: Final = 1
MAX_MARK: Final = 8 << 20
"Bytes: a day of 200,000 recordings."
EARLY: Final = "early"
"The policy of a mark of one record; that of a day's is its period."

_NAMES: Final = f"{Folder.ERASURES}/"
_SUFFIX: Final = ".json"
_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]*\Z", max_length=32)]


class MarkError(AgentError):
    """An object among the marks is none."""

    hint = "Find out who put it there: only the sweep writes marks."


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is being erased of one day, and how far it has come."""

    version: int = VERSION
    day: str
    "The recordings' own, as their objects are filed: `2026-11-23`."
    marked: str
    "When, UTC with milliseconds."
    policy: _Word
    "The period of retention, or `early`."
    reason: _Word = ""
    "Why a record goes early, in a word."
    request: Annotated[str, msgspec.Meta(pattern=rf"^(?:{ID_PATTERN})?\Z")] = ""
    "By which request a record goes early, that two persons signed; empty: by none."
    approved: str = ""
    "When that request was verified, UTC; it may have expired before a key goes."
    generation: Annotated[int, msgspec.Meta(ge=0)] = 0
    "The newest key of its day under which a record that goes early may lie, or 0."
    replaced: str = ""
    "When its day had a newer key than that, UTC; empty: it has none yet."
    also: tuple[str, ...] = ()
    "Other days that a record is filed under, until each has a mark of its own."
    ids: tuple[str, ...]
    "What is to be erased and has no tombstone yet, sorted."
    told: tuple[str, ...] = ()
    "What nothing opens any more, and of which objects may be left; sorted."
    complete: str = ""
    "When nothing but documents of state was left of it, UTC; empty: it is not yet."

    @classmethod
    def of(
        cls,
        day: date,
        ids: Iterable[str],
        now_ns: int,
        policy: str,
        *,
        reason: str = "",
        request: str = "",
        generation: int = 0,
        also: Iterable[date] = (),
    ) -> Self:
        """A new mark. Raises MarkError: the reason is no word."""
        mark = cls(
            day=day.isoformat(), marked=time_text(now_ns), policy=policy,
            reason=reason, request=request,
            approved=time_text(now_ns) if request else "",
            generation=generation, ids=tuple(sorted(set(ids))),
            also=tuple(other.isoformat() for other in also),
        )  # fmt: skip
        return cls.parse(mark.to_bytes())

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read one. Raises MarkError."""
        try:
            mark = parse_canonical(data, cls, limit=MAX_MARK, version=VERSION)
            sound = mark.date.isoformat() == mark.day and mark.marked_ns >= 0
            sound = sound and (not mark.complete or mark.complete_ns >= 0)
            sound = sound and (not mark.replaced or mark.replaced_ns >= 0)
            sound = sound and bool(mark.request) is bool(mark.approved)
            sound = sound and (not mark.approved or mark.approved_ns >= 0)
            others = [other.isoformat() for other in mark.others]
            sound = sound and others == [*mark.also]
        except (CanonicalError, ValueError) as error:
            raise MarkError(f"This is no mark: {error}.") from None
        ids = mark.ids + mark.told
        if not sound or not all(map(valid_id, ids)) or len(set(ids)) != len(ids):
            raise MarkError("This is no mark: it names what cannot be erased.")
        return mark

    @property
    def others(self) -> list[date]:
        """The days of `also`."""
        return [*map(date.fromisoformat, self.also)]

    @property
    def date(self) -> date:
        """The recordings' day."""
        return date.fromisoformat(self.day)

    @property
    def marked_ns(self) -> int:
        """When it was marked: nanoseconds since the epoch."""
        return _moment(self.marked)

    @property
    def replaced_ns(self) -> int:
        """When its day had a newer key: nanoseconds since the epoch; 0: none yet."""
        return _moment(self.replaced) if self.replaced else 0

    @property
    def approved_ns(self) -> int:
        """When its request was verified: nanoseconds since the epoch; 0: by none."""
        return _moment(self.approved) if self.approved else 0

    @property
    def complete_ns(self) -> int:
        """When nothing was left: nanoseconds since the epoch; 0: it is not yet so."""
        return _moment(self.complete) if self.complete else 0

    @property
    def early(self) -> bool:
        """Whether it is of one record that goes before its time."""
        return self.policy == EARLY

    @property
    def key(self) -> str:
        """The mark's own name."""
        if self.early:
            return record_mark_key(self.early_id, self.date)
        return day_mark_key(self.date)

    @property
    def early_id(self) -> str:
        """Whose mark it is that goes early. Raises MarkError if not just one."""
        if len(ids := self.ids + self.told) != 1:
            raise MarkError("A mark of one record names another number of them.")
        return ids[0]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(self)

    def renewed(self, ids: Iterable[str], now_ns: int) -> Self:
        """The mark of a complete day of which more is to be erased."""
        return msgspec.structs.replace(
            self, ids=tuple(sorted(ids)), marked=time_text(now_ns), complete=""
        )

    def alone(self) -> Self:
        """The mark when other days have their own."""
        return msgspec.structs.replace(self, also=())

    def by(self, request: str, now_ns: int) -> Self:
        """The mark when another request asks for the same."""
        return msgspec.structs.replace(
            self, request=request, approved=time_text(now_ns)
        )

    def with_newer_key(self, now_ns: int) -> Self:
        """The mark when its day has got another key."""
        return msgspec.structs.replace(self, replaced=time_text(now_ns))

    def completed(self, now_ns: int) -> Self:
        """The mark when nothing is left of it."""
        return msgspec.structs.replace(self, complete=time_text(now_ns))

    def tell(self, ids: Iterable[str]) -> Self:
        """The mark when there is a tombstone of each of `ids`."""
        told = {*self.told, *ids}
        left = tuple(one for one in self.ids if one not in told)
        return msgspec.structs.replace(self, ids=left, told=tuple(sorted(told)))


def day_mark_key(day: date) -> str:
    """The name of a day's mark: `erasures/2026-11-23.json`."""
    return f"{_NAMES}{day.isoformat()}{_SUFFIX}"


def record_mark_key(recording_id: str, day: date) -> str:
    """The name of the mark of one record that goes early: `erasures/<id>.<day>.json`.

    Each day that a record is filed under has a mark: each has a key of its own.
    """
    return f"{_NAMES}{recording_id}.{day.isoformat()}{_SUFFIX}"


def marked_record(key: str) -> str:
    """Whose mark has that name, by id; empty: it is a day's. Raises MarkError."""
    name = key.removeprefix(_NAMES).removesuffix(_SUFFIX)
    recording_id, _, text = name.rpartition(".")
    named = ""
    with suppress(ValueError):
        day = date.fromisoformat(text)
        named = day_mark_key(day)
        if valid_id(recording_id):
            named = record_mark_key(recording_id, day)
    if key != named:
        raise MarkError("An object among the marks has a name that is none.")
    return recording_id


def _moment(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    return (moment - EPOCH) // timedelta(milliseconds=1) * 1_000_000
