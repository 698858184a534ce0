"""`recording-agent archive unrestrict`: a restriction ends."""

from agent.access.standing import unrestrict
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(recording: str, /, *, config: Config = None) -> None:
    """Lift a recording's restriction.

    Args:
        recording: The recording's id.
        config: See above.
    """
    at_desk(config, lambda desk: unrestrict(desk, recording))
    console().print(f"{recording} is not restricted")
