"""`recording-agent status`: the calls that are up."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.cli.asking import ask_daemon, show
from agent.service.commands import StatusRequest


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    json: bool = False,
) -> None:
    """Show the calls that are up, the oldest first. No number, no name.

    Args:
        config: The configuration file of the daemon.
        json: Print JSON lines instead of a table.
    """
    show(ask_daemon(config, StatusRequest()).calls, json=json)
