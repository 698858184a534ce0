"""`recording-agent archive find`: recordings of a number, an officer, or some days."""

import sys
from datetime import date, timedelta
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from agent.access.desk import Desk
from agent.access.finding import (
    FoundRecordings,
    Window,
    find_days,
    find_id,
    find_number,
)
from agent.cli.archive.common import (
    Config,
    Identities,
    Why,
    ask_line,
    at_desk,
    local_day,
    settings,
    warn,
)
from agent.cli.terminal import console
from agent.formats.layout import Domain
from agent.identity.numbers import normalise

DAYS: Final = 366
"Up to today, where no window is given: what is kept."


def command(
    *,
    why: Why,
    first: Annotated[date | None, Parameter(name="--from")] = None,
    last: Annotated[date | None, Parameter(name="--to")] = None,
    on: Annotated[date | None, Parameter(name="--date")] = None,
    recording: Annotated[str, Parameter(name="--id")] = "",
    officer: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Find recordings. The number is typed when asked for, or comes on standard input.

    It is no argument: what stands in a command line stays in the shell's history, and
    everybody on the computer can read it meanwhile.

    Args:
        why: Why it is looked for.
        first: First day of the window; a year ago if absent.
        last: Last day; today if absent.
        on: All recordings of this day; no number is asked for.
        recording: Look for this id instead.
        officer: The number is an officer's.
        json: Print JSON lines instead of a table.
        config: See above.
        identity: See above.
    """
    reason = why.reason()
    today = local_day()
    if on is not None:
        first = last = on
    window = Window(first or today - timedelta(DAYS), last or today)
    number = ""
    if not recording and on is None:
        numbers = settings(config)[0].identity
        number = normalise(ask_line("Number: "), numbers)

    async def look(desk: Desk) -> FoundRecordings:
        if recording:
            return await find_id(desk, recording, near=first)
        if on is not None:
            return await find_days(desk, window, reason)
        domain: Domain = "officer" if officer else "caller"
        return await find_number(desk, number, domain, window, reason)

    _print(at_desk(config, look, identities=identity), json=json)


def _print(found: FoundRecordings, *, json: bool) -> None:
    for hit in found.hits:
        if json:
            sys.stdout.buffer.write(msgspec.json.encode(hit) + b"\n")
        else:
            console().print(f"{hit.day}  {hit.id}")
    if found.truncated:
        warn(["there are more: ask for fewer days."])
    if found.unopened:
        warn([f"{found.unopened} recordings were not looked into: not for these keys."])
    if not found.hits:
        console(stderr=True).print("nothing was found")
