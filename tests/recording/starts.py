"""What a start does about a killed run, from its beginning to its end."""

from agent.recording.ledger import Ledger
from agent.recording.recovery import Recovered, recover, salvage_waiting
from agent.recording.spool import Spool


async def recovered(
    spool: Spool, ledger: Ledger, *, indexed: bool = False
) -> list[Recovered]:
    """Recover, and salvage what waits, as the daemon does while it carries calls."""
    found = await recover(spool, ledger)
    salvaging = salvage_waiting(found, spool, ledger, indexed=indexed)
    salvaged = [one async for one in salvaging]
    return [*(one for one in found if one.action != "waiting"), *salvaged]
