"""`recording-agent run`: the daemon in the foreground."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.service.app import Agent
from agent.service.config import load
from agent.service.logs import configure


def command(*, config: Annotated[Path, Parameter(name=["--config", "-c"])]) -> None:
    """Run until SIGTERM; log JSON lines on stdout.

    Args:
        config: The configuration file; relative paths in it start at its folder.
    """
    settings = load(config)
    configure(settings.log)
    try:
        import uvloop  # noqa: PLC0415 - an extra: absent on small machines
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        runner.run(Agent(settings, config.resolve().parent).serve())
