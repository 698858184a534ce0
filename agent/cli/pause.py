"""`recording-agent pause`: keep what is said out of a recording."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.cli.asking import ask_daemon, show
from agent.service.commands import PauseRequest


def command(
    call_id: str,
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    seconds: float | None = None,
    reason: str = "",
    json: bool = False,
) -> None:
    """Keep what is said out of a call's recording for a while; again: for longer.

    It goes on by itself. The log and the recording say when, for how long, and which
    user of the host asked.

    Args:
        call_id: The call as `status` shows it.
        config: The configuration file of the daemon.
        seconds: How long at most; without it as long as the route's max_pause.
        reason: One word in lower case, like `card`. No name, no number.
        json: Print a JSON line instead of a table.
    """
    request = PauseRequest(call_id=call_id, seconds=seconds, reason=reason)
    show(ask_daemon(config, request).calls, json=json)
