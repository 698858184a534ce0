"""Call detail records of other systems, as CSV: when a call was, and whether answered.

Nothing else of a record is looked at: whoever rang whom stays in the file. Of a time
without an offset the time zone is the caller's to know; in the hour that a clock goes
back it may be two moments, and both are told.
"""

from collections.abc import Iterable, Iterator, Sequence
from csv import Error as CsvError, field_size_limit, reader
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from agent.common.errors import AgentError

MAX_LINE: Final = 64 * 1024
"Characters of a line; a record of any system here has some hundred."
MAX_SECONDS: Final = 7 * 24 * 3600
"Of one call."
MAX_CALL_ID: Final = 1024
_NS: Final = 1_000_000_000
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_YES: Final = {"answered", "answer", "yes", "true", "1", "ok", "normal_clearing"}
FIELDS: Final = ("call-id", "begun", "answered", "ended", "seconds", "talked", "status")
"What a column may be mapped to."


class CdrError(AgentError):
    """A record, or a whole file, cannot be read. Never tells what stands in it."""

    hint = "Check --format, --mapping and --delimiter against the file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where in a row what stands, from 0 on; None: nowhere."""

    begun: int
    ended: int | None = None
    seconds: int | None = None
    "From its beginning to its end; one of the two is there."
    answered: int | None = None
    "When it was, or whether; empty if it was not."
    talked: int | None = None
    "Seconds since it was answered."
    status: int | None = None
    call_id: int | None = None
    "SIP's Call-ID, where the system was told to write it."


ASTERISK: Final = Columns(
    begun=9, answered=10, ended=11, seconds=12, talked=13, status=14, call_id=17
)
"cdr_csv's Master.csv; with `loguniqueid` and `loguserfield` the latter is the Call-ID."
FREESWITCH: Final = Columns(
    begun=4, answered=5, ended=6, seconds=7, talked=8, call_id=15
)
"mod_cdr_csv's default template, with `${sip_call_id}` appended or not."


@dataclass(frozen=True, slots=True)
class Span:
    """From the beginning of a call to its end: nanoseconds since the Unix epoch."""

    begun_utc_ns: int
    ended_utc_ns: int


@dataclass(frozen=True, slots=True)
class CdrRecord:
    """One call, as another system saw it."""

    spans: tuple[Span, ...]
    "One; two if its clock was about to go back."
    answered: bool
    call_id: str
    "Empty if it is not there."

    def __repr__(self) -> str:
        return f"CdrRecord(answered={self.answered}, …)"


def columns_of(header: Sequence[str], mapping: Iterable[str]) -> Columns:
    """Columns of a file whose first row names them; `mapping` is `field=name` each.

    Raises CdrError.
    """
    names = [name.strip().casefold() for name in header]
    found: dict[str, int] = {}
    for entry in mapping:
        field, sign, name = entry.partition("=")
        if field not in FIELDS or not sign:
            raise CdrError(
                f"--mapping is FIELD=COLUMN, and FIELD one of {', '.join(FIELDS)}."
            )
        if names.count(name.strip().casefold()) != 1:
            raise CdrError(f"The file has no column, or several, for {field!r}.")
        found[field.replace("-", "_")] = names.index(name.strip().casefold())
    if "begun" not in found or not found.keys() & {"ended", "seconds"}:
        raise CdrError("--mapping needs `begun`, and `ended` or `seconds`.")
    return Columns(**found)


def rows(lines: Iterable[str], delimiter: str = ",") -> Iterator[list[str] | CdrError]:
    """Rows of a file, as they come; what is no row is told, and reading goes on."""
    field_size_limit(MAX_LINE)
    source = reader(_bounded(lines), delimiter=delimiter, strict=False)
    while True:
        try:
            yield next(source)
        except StopIteration:
            return
        except CsvError:
            yield CdrError("A field is too long, or its quotes have no end.")


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        # The rest of a longer one follows as a line of its own, and is no record.
        yield line[:MAX_LINE]


def read_record(row: Sequence[str], columns: Columns, zone: tzinfo) -> CdrRecord:
    """One row; times without an offset are of `zone`. Raises CdrError."""
    begun = _moments(_text(row, columns.begun), zone)
    if not begun:
        raise CdrError("There is no time where the beginning should be.")
    seconds = _seconds(_text(row, columns.seconds))
    ended = _moments(_text(row, columns.ended), zone)
    if seconds is not None:
        spans = [Span(moment, moment + seconds) for moment in begun]
    else:
        spans = [
            Span(first, last)
            for first in begun
            for last in ended
            if 0 <= last - first <= MAX_SECONDS * _NS
        ]
    if not spans:
        raise CdrError("There is no end, or one before the beginning.")
    return CdrRecord(
        tuple(dict.fromkeys(spans)),
        _answered(row, columns, zone),
        _text(row, columns.call_id)[:MAX_CALL_ID],
    )


def _answered(row: Sequence[str], columns: Columns, zone: tzinfo) -> bool:
    """Whether it was, as far as the columns that are there say so: all of them."""
    told = []
    if columns.answered is not None:
        text = _text(row, columns.answered)
        told.append(text.casefold() in _YES or bool(_moments(text, zone)))
    if columns.talked is not None:
        told.append((_seconds(_text(row, columns.talked)) or 0) > 0)
    if columns.status is not None:
        told.append(_text(row, columns.status).casefold() in _YES)
    return all(told)


def _text(row: Sequence[str], column: int | None) -> str:
    if column is None or column >= len(row):
        return ""
    return row[column].strip()


def _seconds(text: str) -> int | None:
    """Nanoseconds; None if it is no length of a call."""
    number = _number(text)
    if number is None or not 0 <= number <= MAX_SECONDS:
        return None
    return round(number * _NS)


def _number(text: str) -> float | None:
    # No underscores, no words, no foreign digits: what float() takes beside numbers.
    if not text.isascii() or not text.replace(".", "", 1).isdigit() or len(text) > 20:
        return None
    return float(text)


def _moments(text: str, zone: tzinfo) -> tuple[int, ...]:
    """The moments that a text may mean; none if it is no time."""
    number = _number(text)
    if number is not None:
        stamps = {number}
    else:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return ()
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone)
        # In the hour before a clock goes back it is either of two.
        stamps = {found.replace(fold=fold).timestamp() for fold in (0, 1)}
    return tuple(
        round(stamp * _NS) for stamp in sorted(stamps) if _EARLIEST <= stamp < _LATEST
    )
