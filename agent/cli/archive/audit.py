"""`recording-agent archive audit`: is the log whole, and what does it tell."""

import sys
from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec
from cyclopts import Parameter

from agent.access.auditing import report, uses, verify_logs
from agent.access.desk import Desk
from agent.archive.audit_reports import Disclosure, Touched, disclosures, touched
from agent.archive.audit_verification import Report
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(
    recording: str = "",
    /,
    *,
    person: str = "",
    disclosed: Annotated[bool, Parameter(negative="")] = False,
    first: Annotated[date | None, Parameter(name="--from")] = None,
    last: Annotated[date | None, Parameter(name="--to")] = None,
    config: Config = None,
) -> None:
    """Verify the audit log; or tell when and why a recording was used, without names.

    Exit code 1 if anything in the log was altered, removed or cut off.

    Args:
        recording: Tell of this recording, as its person may be told.
        person: Tell which recordings this person (`p-…`) had to do with: after a
            breach.
        disclosed: Tell what was disclosed outside, to whom and on what basis.
        first: First day of it, in UTC.
        last: Last day.
        config: See above.
    """
    if recording:
        told = at_desk(config, lambda desk: uses(desk, [recording], first), quiet=True)
        _lines(told[recording])
    elif person:
        _lines([at_desk(config, lambda desk: _touched(desk, person, first, last))])
    elif disclosed:
        _lines(at_desk(config, lambda desk: _disclosed(desk, first, last)))
    else:
        _print(at_desk(config, verify_logs, quiet=True))


async def _touched(
    desk: Desk, person: str, first: date | None, last: date | None
) -> Touched:
    return await report(
        desk,
        lambda rows: touched(rows, person),
        lambda row: row.who == person,
        first,
        last,
    )


async def _disclosed(
    desk: Desk, first: date | None, last: date | None
) -> list[Disclosure]:
    return await report(
        desk, disclosures, lambda row: row.act in {"export", "release"}, first, last
    )


def _lines(rows: Sequence[object]) -> None:
    """JSON lines: what the report is made of is words and ids."""
    for row in rows:
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
    if not rows:
        console(stderr=True).print("the log tells nothing of it")


def _print(reports: list[Report]) -> None:
    out = console()
    for one in reports:
        state = "whole" if one.whole else "NOT WHOLE"
        out.print(f"{one.writer}: {one.rows} rows in {one.objects} objects, {state}")
        for finding in one.findings:
            out.print(f"  {finding}", style="red")
    if not reports:
        console(stderr=True).print("there is no audit log")
    if not all(one.whole for one in reports):
        sys.exit(1)
