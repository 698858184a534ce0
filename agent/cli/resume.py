"""`recording-agent resume`: record a paused call again."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.cli.asking import ask_daemon, show
from agent.service.commands import ResumeRequest


def command(
    call_id: str,
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    json: bool = False,
) -> None:
    """Record a paused call again, before its pause is over by itself.

    Args:
        call_id: The call as `status` shows it.
        config: The configuration file of the daemon.
        json: Print a JSON line instead of a table.
    """
    show(ask_daemon(config, ResumeRequest(call_id=call_id)).calls, json=json)
