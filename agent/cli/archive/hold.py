"""`recording-agent archive hold`: a recording is kept beyond its year."""

from datetime import date

from agent.access.standing import hold
from agent.archive.record_state import HoldKind
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(
    recording: str,
    /,
    *,
    kind: HoldKind,
    review: date,
    reference: str = "",
    config: Config = None,
) -> None:
    """Keep a recording until the hold is released; prints the hold's id.

    Args:
        recording: The recording's id.
        kind: Why.
        review: The day on which somebody must think again.
        reference: Number of the case.
        config: See above.
    """
    name = at_desk(config, lambda desk: hold(desk, recording, kind, review, reference))
    console().print(name)
