"""What a killed run left in the spool: told, and sealed while calls are carried."""

from collections.abc import Iterable

import structlog

from agent.recording.ledger import Ledger
from agent.recording.recovery import Recovered, salvage_waiting
from agent.recording.spool import Spool
from agent.upload.uploader import Uploader


async def salvage(
    found: list[Recovered],
    spool: Spool,
    ledger: Ledger,
    uploader: Uploader,
    *,
    indexed: bool,
) -> None:
    """Seal what a killed run left; `indexed`: whether recordings are to be found."""
    async for one in salvage_waiting(found, spool, ledger, indexed=indexed):
        tell_recovered([one])
        if one.action == "salvaged":
            uploader.notify(one.recording_id)


def tell_recovered(found: Iterable[Recovered]) -> None:
    """A line of the log for each."""
    log = structlog.get_logger()
    for one in found:
        if one.action in {"left", "quarantined"}:
            log.error("not_recovered", recording_id=one.recording_id, action=one.action)
        else:
            log.warning("recovered", recording_id=one.recording_id, action=one.action)
