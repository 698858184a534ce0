"""`recording-agent reconcile`: which calls that others know of have no recording."""

import codecs
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from agent.cli.terminal import console
from agent.common.errors import AgentError
from agent.formats.cdr import (
    ASTERISK,
    FREESWITCH,
    MAX_LINE,
    CdrError,
    Columns,
    columns_of,
    read_record,
    rows,
)
from agent.recording.cdr_matching import CdrMatching, Compared, Finding
from agent.service.config import load

SHOWN_ID: Final = 8
"Characters of a call's id: as many as `recording-agent calls` shows."
MAX_MISTAKES: Final = 20
"Rows that are no records, and are named; of more only their number is told."
_WORDS: Final = {
    Finding.CAPTURED: "recorded",
    Finding.NOT_CAPTURED: "not recorded as a whole",
    Finding.EXEMPT: "exempt",
    Finding.RUNNING: "still running",
    Finding.AMBIGUOUS: "ambiguous",
    Finding.UNKNOWN_HERE: "not in the ledger",
    Finding.UNKNOWN_THERE: "not in the file",
}
_QUIET: Final = {Finding.CAPTURED, Finding.EXEMPT, Finding.RUNNING}
"Nothing is wrong with these; they are counted."


class ReconcileError(AgentError):
    """It cannot be compared."""


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    cdr: Path,
    format: Literal["asterisk", "freeswitch", "generic"] = "asterisk",  # noqa: A002
    mapping: list[str] | None = None,
    delimiter: str = ",",
    timezone: str = "Europe/Helsinki",
    window: float = 5.0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Name each answered call of a PBX's records that has no recording, and why.

    And each answered call of the ledger that the records have not. A call is known by
    its SIP Call-ID where the records have it, else by the time of its end, and is
    called ambiguous where that may be several. Exits with 1 if anything is named.
    No number and no name is read from the file, or shown.

    Args:
        config: The configuration file of the daemon.
        cdr: The file of call detail records, as CSV.
        format: Whose it is. asterisk: cdr_csv's Master.csv. freeswitch: mod_cdr_csv's
            default template. generic: a first row names the columns.
        mapping: Of a generic file, FIELD=COLUMN, several times: call-id, begun,
            answered, ended, seconds, talked, status.
        delimiter: What is between two columns.
        timezone: Of times in the file that have no offset.
        window: Seconds that its clock may differ from this host's.
        json: Print JSON lines instead, one for each finding.
    """
    settings = load(config)
    spool = config.resolve().parent / settings.agent.spool
    if len(delimiter) != 1:
        raise ReconcileError("--delimiter is one character.")
    if not 0 <= window <= 3600:
        raise ReconcileError("--window is 0 to 3600 seconds.")
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ReconcileError(f"No time zone is called {timezone!r}.") from error
    tests = tuple(route.name for route in settings.routes if route.test)
    with CdrMatching(
        spool / "ledger.sqlite", hash_key=_hash_key(spool), tests=tests
    ) as matching:
        file = CdrFile(cdr, zone, delimiter)
        file.read_into(matching, _columns(format, mapping or []))
        wrong = _show(matching.compare(window), file, json=json)
    if wrong:
        sys.exit(1)


class CdrFile:
    """A file of records: read once, line by line."""

    def __init__(self, path: Path, zone: ZoneInfo, delimiter: str) -> None:
        self._path = path
        self._zone = zone
        self._delimiter = delimiter
        self.answered = 0
        self.unanswered = 0
        self.unread = 0
        "Rows that are no records."

    def read_into(
        self, matching: CdrMatching, columns: Columns | Callable[[list[str]], Columns]
    ) -> None:
        """Give every answered call to `matching`. Raises CdrError, ReconcileError."""
        try:
            size, encoding = self._path.stat().st_size, _encoding(self._path)
            with (
                self._path.open(
                    encoding=encoding, errors="replace", newline=""
                ) as file,
                _progress(size) as advance,
            ):
                self._read(_lines(file, advance), matching, columns)
        except OSError as error:
            raise ReconcileError(
                f"{self._path} cannot be read: {error.strerror}."
            ) from error
        if self.unread and not self.answered + self.unanswered:
            raise CdrError(f"No row of {self._path} is a record.")

    def _read(
        self,
        lines: Iterator[str],
        matching: CdrMatching,
        columns: Columns | Callable[[list[str]], Columns],
    ) -> None:
        for number, row in enumerate(rows(lines, self._delimiter), 1):
            if not row:
                continue
            try:
                if isinstance(row, CdrError):
                    raise row
                if not isinstance(columns, Columns):
                    columns = columns(row)
                    continue
                record = read_record(row, columns, self._zone)
            except CdrError as error:
                if not isinstance(columns, Columns):
                    raise
                self._unread(number, error)
                continue
            if record.answered:
                self.answered += 1
                matching.add(number, record)
            else:
                self.unanswered += 1

    def _unread(self, number: int, error: CdrError) -> None:
        self.unread += 1
        if self.unread <= MAX_MISTAKES:
            reason = error.args[0]
            console(stderr=True).print(f"row {number}: {reason}")


def _columns(
    format_: str, mapping: list[str]
) -> Columns | Callable[[list[str]], Columns]:
    if format_ == "generic":
        return lambda header: columns_of(header, mapping)
    if mapping:
        raise ReconcileError("--mapping goes with --format generic.")
    return ASTERISK if format_ == "asterisk" else FREESWITCH


def _hash_key(spool: Path) -> bytes:
    try:
        return (spool / "ledger.key").read_bytes()
    except OSError as error:
        raise ReconcileError(
            f"The ledger's key cannot be read: {error.strerror}.",
            hint="Ask as the daemon's user or root.",
        ) from error


def _encoding(path: Path) -> str:
    """By the file's first bytes: what is no text is no column of ours."""
    with path.open("rb") as file:
        start = file.read(2)
    wide = start in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    return "utf-16" if wide else "utf-8-sig"


def _lines(file: TextIO, advance: Callable[[int], None]) -> Iterator[str]:
    """Lines of bounded length."""
    while line := file.readline(MAX_LINE):
        advance(file.buffer.tell())
        yield line


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; gives what moves it."""
    columns = TextColumn("reading"), BarColumn(), TaskProgressColumn()
    errors = console(stderr=True)
    quiet = not errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=quiet) as bar:
        task = bar.add_task("reading", total=size)
        yield lambda done: bar.update(task, completed=done)


def _show(findings: Iterator[Compared], file: CdrFile, *, json: bool) -> int:
    """Show each as it is found; returns how many are wrong."""
    counts: Counter[Finding] = Counter()
    by_time = 0
    out = console()
    for one in findings:
        counts[one.finding] += 1
        by_time += one.matched_by == "time"
        if json:
            sys.stdout.buffer.write(msgspec.json.encode(one) + b"\n")
        elif one.finding not in _QUIET:
            out.print(_line(one))
    if not json:
        told = [f"{count} {_WORDS[finding]}" for finding, count in counts.items()]
        out.print(
            f"{file.answered} answered calls in the file"
            f" ({file.unanswered} unanswered, {file.unread} rows are no records): "
            + (", ".join(told) or "nothing to compare")
            + (f"; {by_time} were matched by time" if by_time else "")
        )
    return sum(count for finding, count in counts.items() if finding not in _QUIET)


def _line(one: Compared) -> str:
    moment = datetime.fromtimestamp(one.begun_utc_ns / 1e9, tz=UTC)
    where = "     ledger" if one.line is None else f"row {one.line:>7}"
    parts = [where, f"{moment:%Y-%m-%d %H:%M:%SZ}", _WORDS[one.finding]]
    if one.calls:
        parts.append(" ".join(call[:SHOWN_ID] for call in one.calls))
    why = [one.outcome, one.cause]
    if one.sip_status is not None:
        why.append(str(one.sip_status))
    if one.missing_ms:
        why.append(f"-{one.missing_ms / 1000:.1f} s")
    if one.matched_by == "time":
        why.append("by time")
    if any(why):
        parts.append(f"({', '.join(word for word in why if word)})")
    return "  ".join(parts)
