"""Where calls are recorded nothing is erased: who may delete refuses to run there."""

from pathlib import Path
from typing import Final

from agent.common.errors import AgentError

SPOOL: Final = Path("/var/lib/recording-agent")
"Where an installed agent keeps its spool."


class TelephonyHostError(AgentError):
    """Here calls are recorded: whoever takes this host must not be able to erase."""

    hint = "Run it at central storage, on a host of its own."


def refuse_telephony_host(spool: Path = SPOOL) -> None:
    """Raises TelephonyHostError if an agent has its spool here.

    A user who may not look into it cannot tell: for those the unit does, which has
    AssertPathExists=.
    """
    try:
        found = (spool / "lock").exists()
    except PermissionError:
        found = False
    if found:
        raise TelephonyHostError(f"{spool} is the spool of a telephony host.")
