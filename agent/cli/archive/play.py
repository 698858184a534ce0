"""`recording-agent archive play`: hear a recording; no file is made."""

import sys
from typing import Annotated

from cyclopts import Parameter

from agent.access.playing import PlayError, play, player_for
from agent.cli.archive.common import Config, Identities, Why, at_desk, settings, warn


def command(
    recording: str,
    /,
    *,
    why: Why,
    to: Annotated[str, Parameter(name="--to", allow_leading_hyphen=True)] = "",
    config: Config = None,
    identity: Identities = (),
) -> None:
    """Play a recording, once all of it was verified, through a pipe.

    Args:
        recording: The recording's id.
        why: Why it is heard.
        to: `-`: write the audio to standard output, for a player of yours.
        config: See above.
        identity: See above.
    """
    reason = why.reason()
    if to not in {"", "-"}:
        raise PlayError("--to takes - alone.", hint="Files are what export makes.")
    if to and sys.stdout.isatty():
        raise PlayError("standard output is a terminal.", hint="Give it to a player.")
    command_line = settings(config)[0].player.command
    opened = at_desk(
        config, lambda desk: desk.open(recording, reason), identities=identity
    )
    warn(opened.warnings)
    if to:
        sys.stdout.buffer.write(opened.audio)
        sys.stdout.buffer.flush()
        return
    play(opened.audio, player_for(opened.suffix, command_line))
