"""Playing a recording: through a pipe into a player, never through a file."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from agent.common.errors import AgentError

PLAYERS: Final[dict[str, tuple[str, ...]]] = {
    "ffplay": ("-nodisp", "-autoexit", "-hide_banner", "-loglevel", "error", "-i", "-"),
    # Without the user's own configuration: no history, no position kept for later.
    "mpv": ("--no-config", "--no-video", "--really-quiet", "-"),
    "aplay": ("-q", "-"),
}
"Programs that play standard input, the likeliest first, and their arguments."
WAV_ONLY: Final = frozenset({"aplay"})


class PlayError(AgentError):
    """No player plays it."""

    hint = "Install ffmpeg, mpv or alsa-utils, or give --to - and a player of yours."


def player_for(suffix: str, command: Sequence[str] = ()) -> list[str]:
    """The command line of what plays a file of this kind from a pipe.

    `command` comes first where it is given. Raises PlayError.
    """
    if command:
        found = shutil.which(command[0])
        if found is None:
            raise PlayError("the configured player is not installed.")
        return [found, *command[1:]]
    for name, arguments in PLAYERS.items():
        found = shutil.which(name)
        if found is not None and (suffix == "wav" or name not in WAV_ONLY):
            return [found, *arguments]
    raise PlayError(f"no program was found that plays {suffix} from a pipe.")


def play(audio: bytes, player: Sequence[str]) -> None:
    """Play until the end, or until the listener stops the player.

    Raises PlayError if the player fails.
    """
    try:
        with subprocess.Popen(player, stdin=subprocess.PIPE) as process:  # noqa: S603 - no shell
            try:
                process.communicate(audio)
            except KeyboardInterrupt:
                process.terminate()
                return
    except OSError as error:
        raise PlayError(f"the player cannot be run: {error.strerror}.") from error
    # A player that was closed did what its listener wanted: a signal is no failure.
    if process.returncode > 0:
        raise PlayError(f"the player ended with {process.returncode}.", hint="")
