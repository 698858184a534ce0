"""`recording-agent run`: the daemon in the foreground."""

import asyncio
import functools
import gc
import os
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.common.crashes import tell_crashes
from agent.common.logs import IDENTIFIER, configure
from agent.common.service_manager import ServiceManager
from agent.common.swap import forbid_swap
from agent.service.app import Agent
from agent.service.config import load

_OBJECTS: Final = 20_000
"New ones between two searches for cycles; some two megabytes."


def command(*, config: Annotated[Path, Parameter(name=["--config", "-c"])]) -> None:
    """Run until SIGTERM; log JSON lines on stdout.

    Args:
        config: The configuration file; relative paths in it start at its folder.
    """
    settings = load(config)
    configure(settings.log.level)
    tell_crashes(IDENTIFIER)
    if not settings.agent.allow_swap:
        forbid_swap()
    try:
        import uvloop  # noqa: PLC0415 - an extra: absent on small machines
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        manager = ServiceManager(os.environ)
        base = config.resolve().parent
        source = functools.partial(load, config.resolve())
        agent = Agent(settings, base, manager, source=source)
        runner.run(agent.serve(ready=_spare_the_collector))


def _spare_the_collector() -> None:
    """Look for cycles less often, and not in what stays until the end.

    A call leaves a few, and one message makes the 700 objects after which Python
    would look for them each time: that took a fifteenth of main's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, 20, 20)
