"""Keys are destroyed, and each destruction has its row in the audit log.

The row comes first: a process killed in between leaves a row for a key that still is
there, and its successor, which destroys it, writes another.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from agent.common.moments import time_text
from agent.formats.audit import Act
from agent.retention.site import Site

KEY_DESTROYED: Final = "key-destroyed"
"No envelope opens any more, copies of envelopes included."
ENVELOPE_DELETED: Final = "envelope-deleted"
"There was no gate: who kept a copy of an envelope, and may open it, still can."


async def destroy_day(
    site: Site, day: date, now_ns: int, *, up_to: int | None = None
) -> None:
    """Destroy a day's keys, or those up to a generation.

    Done again it is nothing. Raises KeyringError, AuditLogError.
    """
    if (keyring := site.keyring) is None:
        return
    for generation in site.generations(day):
        if up_to is None or generation <= up_to:
            await site.row(
                Act.KEY_DESTROYED, day=day.isoformat(), generation=str(generation)
            )
            await keyring.destroy_day(day, generation, at=time_text(now_ns))


async def method_of(site: Site, day: date) -> str:
    """How recordings of a day are erased: as a tombstone says it.

    By their key, where the day has or had one; those of days before there was a gate
    by their envelopes. Raises KeyringError.
    """
    if (keyring := site.keyring) is None:
        return ENVELOPE_DELETED
    if keyring.generations(day):
        return KEY_DESTROYED
    gone = {done.name.partition(".")[0] for done in await keyring.destroyed()}
    return KEY_DESTROYED if day.isoformat() in gone else ENVELOPE_DELETED


async def destroy_holds(site: Site, ids: Iterable[str], now_ns: int) -> None:
    """Destroy the hold keys of records that are no longer held.

    Done again it is nothing. Raises KeyringError, AuditLogError.
    """
    if (keyring := site.keyring) is None:
        return
    for recording_id in sorted(set(ids).intersection(await keyring.holds())):
        await site.row(Act.KEY_DESTROYED, recording_id=recording_id)
        await keyring.destroy_hold(recording_id, at=time_text(now_ns))
