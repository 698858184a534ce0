"""`recording-agent drain`: no new calls, before maintenance."""

import time
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from agent.cli.asking import ask_daemon
from agent.cli.terminal import console
from agent.common.clock import monotonic
from agent.common.errors import AgentError
from agent.service.commands import DrainRequest, StatusRequest

_LOOK: Final = 1.0
"Seconds between two looks at how many calls are left."


class StillUpError(AgentError):
    """Calls go on."""

    permanent = False
    hint = "Wait for longer, or stop the daemon: it ends them."


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    wait: float = 0.0,
) -> None:
    """Take no new calls: they are refused with 503, so that they go elsewhere.

    Calls that are up go on, and are recorded. Emergency calls are taken all the same.
    It lasts until `undrain`, or until the daemon ends.

    Args:
        config: The configuration file of the daemon.
        wait: Seconds to wait for the calls that are up to end; 1 if some still are.
    """
    calls = len(ask_daemon(config, DrainRequest()).calls)
    until = monotonic() + wait
    with console(stderr=True).status(_left(calls)) as shown:
        while calls and monotonic() < until:
            time.sleep(min(_LOOK, max(0.0, until - monotonic())))
            calls = len(ask_daemon(config, StatusRequest()).calls)
            shown.update(_left(calls))
    if wait and calls:
        raise StillUpError(f"{_left(calls)} after {wait:.0f} s.")
    print(f"No new calls; {_left(calls)}.")


def _left(calls: int) -> str:
    return f"{calls} call{'s are' if calls != 1 else ' is'} up"
