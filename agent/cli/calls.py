"""`recording-agent calls`: the ledger as a table."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.table import Table

from agent.cli.terminal import console
from agent.recording.ledger import LedgerRow, read_rows
from agent.service.config import load


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    json: bool = False,
    limit: int = 50,
) -> None:
    """Show what became of every call, newest first. No number, no name: it has none.

    Args:
        config: The configuration file of the daemon.
        json: Print JSON lines instead of a table.
        limit: How many calls at most.
    """
    settings = load(config)
    spool = config.resolve().parent / settings.agent.spool
    rows = read_rows(spool / "ledger.sqlite", limit=limit)
    if json:
        for row in rows:
            sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        return
    table = Table(box=None, padding=(0, 1, 0, 0))  # it fits 80 columns
    for name in ("begun (UTC)", "call", "route", "outcome", "cause"):
        table.add_column(name, no_wrap=True)
    table.add_column("recordings", min_width=15)
    for row in rows:
        table.add_row(
            _utc(row.begun_utc_ns),
            row.call_id[:8],
            row.route,
            _outcome(row),
            row.cause,
            _recordings(row),
        )
    console().print(table, soft_wrap=False)


def _utc(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC)
    return moment.strftime("%m-%d %H:%M:%S")


def _outcome(row: LedgerRow) -> str:
    missing = f" -{row.missing_ms / 1000:.1f} s" if row.missing_ms else ""
    return f"{row.outcome or 'open'}{missing}"


def _recordings(row: LedgerRow) -> str:
    return ", ".join(
        f"{r.recording_id[:8]} {r.state} {r.verdict}".rstrip() for r in row.recordings
    )
