"""`recording-agent archive drill`: do the keys that open everything still do so?"""

import sys

from agent.access.desk import Desk
from agent.access.drill import DrillResult, DrillRow, drill, holders, passed
from agent.access.purposes import Purpose
from agent.access.reason import Reason
from agent.cli.archive.common import Config, Identities, at_desk
from agent.cli.terminal import console

_STYLES = {DrillResult.OPENED: "green", DrillResult.ABSENT: "yellow"}


def command(
    recording: str, /, *, config: Config = None, identity: Identities = ()
) -> None:
    """Try every key that was brought on one recording, made for that: a test call.

    Each holder of a quality or recovery key may do it alone, with their own; the
    report says whose keys were not there. Exit code 1 if a key that was brought does
    not open it, or none was.

    Args:
        recording: Id of the recording.
        config: See above.
        identity: See above.
    """

    async def try_all(desk: Desk) -> list[DrillRow]:
        _, envelope = await desk.envelope(recording, Reason(purpose=Purpose.DRILL))
        return drill(envelope, holders(desk), desk.identities)

    rows = at_desk(config, try_all, identities=identity)
    for row in rows:
        style = _STYLES.get(row.result, "red")
        console().print(f"{row.holder}: {row.result}", style=style)
    if not passed(rows):
        sys.exit(1)
