"""`recording-agent status`: the calls that are up, and what waits."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.cli.asking import ask_daemon, show, show_host
from agent.service.commands import StatusRequest


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    json: bool = False,
) -> None:
    """Show the calls that are up, the oldest first, and the host. No number, no name.

    Of the host: room in the spool, and recordings that wait to be finished and stored.

    Args:
        config: The configuration file of the daemon.
        json: Print JSON lines instead, one a call, and at last the host's.
    """
    reply = ask_daemon(config, StatusRequest())
    show(reply.calls, json=json)
    if reply.host is not None:
        show_host(reply.host, json=json)
