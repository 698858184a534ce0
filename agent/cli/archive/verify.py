"""`recording-agent archive verify`: is what is stored what the hosts have stored."""

import re
import sys
from datetime import date, timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from agent.access.desk import Desk
from agent.access.verifying import (
    DayVerified,
    IndexVerified,
    verify_day,
    verify_month,
)
from agent.cli.archive.common import (
    AskError,
    Config,
    Identities,
    at_desk,
    local_day,
)
from agent.cli.terminal import console
from agent.cli.working import Working

_MONTH: Final = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)
MAX_DAYS: Final = 800


def command(
    *,
    first: Annotated[date | None, Parameter(name=["--from", "--date"])] = None,
    last: Annotated[date | None, Parameter(name="--to")] = None,
    index: tuple[str, ...] = (),
    fast: Annotated[bool, Parameter(negative="")] = False,
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Hold days of storage against their hosts' seals, or a month's index against it.

    Exit code 1 if anything was altered, removed, moved or put there by others.

    Args:
        first: The day, or the first of several; yesterday if absent.
        last: The last day.
        index: Verify the index of this month (2026-11) instead; may be given again.
        fast: Compare the sizes of audio, not every byte.
        config: See above.
        identity: See above.
    """
    if not all(_MONTH.fullmatch(month) for month in index):
        raise AskError("a month is written like 2026-11.")
    start = first or local_day() - timedelta(1)
    end = last or start
    if not 0 <= (end - start).days < MAX_DAYS:
        raise AskError("the window of days is too long, or ends before it begins.")

    async def days(desk: Desk) -> bool:
        whole = True
        with Working("verifying …") as working:
            for number in range((end - start).days + 1):
                day = start + timedelta(number)
                working.tell(f"verifying {day} …")
                async for verified in verify_day(desk, day, audio=not fast):
                    with working.aside():
                        whole &= _tell_day(verified)
        return whole

    async def months(desk: Desk) -> bool:
        whole = True
        with Working("verifying …") as working:
            for month in index:
                working.tell(f"verifying the index of {month} …")
                async for verified in verify_month(desk, month):
                    with working.aside():
                        whole &= _tell_index(verified)
        return whole

    act = months if index else days
    if not at_desk(config, act, identities=identity, quiet=True):
        sys.exit(1)


def _tell_day(verified: DayVerified) -> bool:
    state = "NOT WHOLE" if verified.findings else "whole"
    console().print(
        f"storage[{verified.storage}] {verified.day}:"
        f" {verified.recordings} recordings, {state}"
    )
    for one in verified.findings:
        reason = f": {one.reason}" if one.reason else ""
        console().print(f"  {one.kind} {one.id or '-'} {one.what}{reason}", style="red")
    return not verified.findings


def _tell_index(verified: IndexVerified) -> bool:
    state = "NOT WHOLE" if verified.findings else "whole"
    console().print(
        f"storage[{verified.storage}] index {verified.month}: {verified.recordings}"
        f" recordings, {verified.compared} compared by number, {state}"
    )
    for one in verified.findings:
        console().print(
            f"  {one.fault} {one.id or '-'} {one.domain or '-'}", style="red"
        )
    return not verified.findings
