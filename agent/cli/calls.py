"""`recording-agent calls`: the ledger as a table."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.table import Table

from agent.cli.spans import Moment, moment_ns
from agent.cli.terminal import console
from agent.common.clock import utc_ns
from agent.model.call import Outcome
from agent.recording.ledger import LedgerRow, read_rows
from agent.recording.ledger_query import OPEN, Wanted
from agent.service.config import load

FOLLOW_SECONDS: Final = 1.0
FOLLOW_LIMIT: Final = 10_000
"Calls that may end between two looks, and are shown all the same."
_COLUMNS: Final = ("begun (UTC)", "call", "route", "outcome", "cause", "recordings")
_WIDTHS: Final = (14, 8, 20, 16, 16, 0)
"Of what is followed: its rows come one by one."


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    outcome: Outcome | None = None,
    running: Annotated[bool, Parameter(name="--open", negative="")] = False,
    since: Moment | None = None,
    call: str = "",
    follow: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    limit: int = 50,
) -> None:
    """Show what became of every call, newest first. No number, no name: it has none.

    Args:
        config: The configuration file of the daemon.
        outcome: Only calls of which this became.
        running: Only calls that have no outcome yet.
        since: Only calls that began since then: 90s, 30m, 8h, 7d, or an ISO date and
            time in UTC.
        call: Only calls whose ids begin so.
        follow: Go on with each call that ends, until interrupted.
        json: Print JSON lines instead of a table.
        limit: How many calls at most.
    """
    settings = load(config)
    ledger = config.resolve().parent / settings.agent.spool / "ledger.sqlite"
    wanted = Wanted(
        outcome=OPEN if running else outcome or "",
        call_id=call,
        since_utc_ns=0 if since is None else moment_ns(since, utc_ns()),
    )
    now = utc_ns()
    rows = read_rows(ledger, limit=limit, wanted=wanted)
    if follow:
        _print_lines(reversed(rows), json=json, heading=True)
        _follow(ledger, wanted, now, json=json)
    elif json:
        _print_lines(rows, json=True)
    else:
        _print_table(rows)


def _follow(ledger: Path, wanted: Wanted, after_utc_ns: int, *, json: bool) -> None:
    """Print each call as it ends, until Ctrl-C."""
    try:
        while True:
            time.sleep(FOLLOW_SECONDS)
            for row in ended_after(ledger, wanted, after_utc_ns):
                after_utc_ns = max(after_utc_ns, row.ended_utc_ns or 0)
                _print_lines([row], json=json)
    except KeyboardInterrupt:
        return


def ended_after(ledger: Path, wanted: Wanted, utc_ns: int) -> Iterator[LedgerRow]:
    """Those that ended later than that, in this order."""
    these = replace(wanted, ended_after_utc_ns=utc_ns)
    rows = read_rows(ledger, limit=FOLLOW_LIMIT, wanted=these)
    yield from sorted(rows, key=lambda row: row.ended_utc_ns or 0)


def _print_lines(
    rows: Iterator[LedgerRow] | list[LedgerRow], *, json: bool, heading: bool = False
) -> None:
    if json:
        for row in rows:
            sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        sys.stdout.buffer.flush()
        return
    out = console()
    if heading:
        out.print(_line(_COLUMNS))
    for row in rows:
        out.print(_line(_cells(row)))


def _print_table(rows: list[LedgerRow]) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0))  # it fits 80 columns
    for name in _COLUMNS[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(_COLUMNS[-1], min_width=15)
    for row in rows:
        table.add_row(*_cells(row))
    console().print(table, soft_wrap=False)


def _cells(row: LedgerRow) -> tuple[str, ...]:
    return (
        _utc(row.begun_utc_ns),
        row.call_id[:8],
        row.route,
        _outcome(row),
        row.cause,
        _recordings(row),
    )


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(
        cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)
    )


def _utc(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC)
    return moment.strftime("%m-%d %H:%M:%S")


def _outcome(row: LedgerRow) -> str:
    missing = f" -{row.missing_ms / 1000:.1f} s" if row.missing_ms else ""
    return f"{row.outcome or OPEN}{missing}"


def _recordings(row: LedgerRow) -> str:
    return ", ".join(
        f"{r.recording_id[:8]} {r.state} {r.verdict}".rstrip() for r in row.recordings
    )
