"""`recording-agent archive drill`: do the keys that open everything still do so?"""

import sys
from typing import Annotated

from cyclopts import Parameter

from agent.access.desk import Desk
from agent.access.drill import DrillResult, DrillRow, drill, holders, only, passed
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.cli.archive.common import Config, Identities, at_desk
from agent.cli.terminal import console

_STYLES = {DrillResult.OPENED: "green", DrillResult.ABSENT: "yellow"}


def command(
    recording: str,
    /,
    *,
    config: Config = None,
    identity: Identities = (),
    holder: Annotated[tuple[str, ...], Parameter(negative=())] = (),
) -> None:
    """Try every key that opens everything on one recording, made for that: a test call.

    A holder may do it alone, with `--holder` and their own key; else it is of all of
    them. Exit code 1 if a key was not brought, does not open it, or is not one of them.

    Args:
        recording: Id of the recording.
        config: See above.
        identity: See above.
        holder: Whose key it is of: a person's id, or recovery-1; once for each.
    """

    async def try_all(desk: Desk) -> list[DrillRow]:
        drilled = only(holders(desk), holder)
        _, envelope = await desk.envelope(recording, Reason(purpose=Purpose.DRILL))
        return drill(envelope, drilled, desk.identities)

    rows = at_desk(config, try_all, identities=identity)
    for row in rows:
        style = _STYLES.get(row.result, "red")
        console().print(f"{row.holder}: {row.result}", style=style)
    if not passed(rows):
        sys.exit(1)
