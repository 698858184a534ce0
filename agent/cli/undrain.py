"""`recording-agent undrain`: take calls again."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.cli.asking import ask_daemon
from agent.service.commands import UndrainRequest


def command(*, config: Annotated[Path, Parameter(name=["--config", "-c"])]) -> None:
    """Take calls again, after `drain`.

    Args:
        config: The configuration file of the daemon.
    """
    ask_daemon(config, UndrainRequest())
    print("New calls are taken.")
