"""`recording-agent archive release`: a hold ends."""

from agent.access.standing import lift
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(recording: str, hold: str, /, *, config: Config = None) -> None:
    """End a hold; a recording that is overdue then is erased within a day.

    Args:
        recording: The recording's id.
        hold: The hold's id, as `hold` and `show` print it.
        config: See above.
    """
    at_desk(config, lambda desk: lift(desk, recording, hold))
    console().print(f"hold {hold} has ended")
