"""What storage says, compared with the gate's log: daily, and when asked.

Whoever reads an envelope around the gate leaves a trace in the store's own log, and no
row here. Whoever deletes a document of state leaves a row here, and no document there.
"""

from dataclasses import dataclass

from agent.archive.states import StateError
from agent.gate.parts import Parts
from agent.retention.site import each


@dataclass(frozen=True, slots=True)
class StateFlaw:
    """What is wrong with one record's documents of state."""

    id: str
    what: str
    """A word: `missing` is what the log says is in force and they do not, `unwitnessed`
    what they say and the log does not, `altered` a document or their chain."""


async def compare_states(parts: Parts) -> list[StateFlaw]:
    """Hold every document of state against the log, and put back what is missing.

    Raises StateError for a strange name, StorageError.
    """
    states, witness = parts.states, parts.witness
    ids = {one async for one, _ in states.ids()} | {*witness.ids()}
    found: list[StateFlaw] = []

    async def one(recording_id: str) -> None:
        # Between a document and its row nobody compares them.
        async with parts.record_locks(recording_id):
            await look(recording_id)

    async def look(recording_id: str) -> None:
        if await states.flaws(recording_id):
            found.append(StateFlaw(recording_id, "altered"))
        try:
            stored = await states.stored(recording_id)
            in_force = witness.in_force(stored)
            if in_force != stored:
                found.append(StateFlaw(recording_id, "missing"))
                await states.restore(recording_id)
        except StateError:
            return  # told of above, and read by nobody else either
        if not stored.erasing and not witness.explains(stored):
            found.append(StateFlaw(recording_id, "unwitnessed"))

    await each(sorted(ids), one)
    return sorted(found, key=lambda flaw: (flaw.id, flaw.what))


async def compare(parts: Parts) -> list[str]:
    """Each access that no row explains, in a line; none where no log is configured.

    Raises StoreLogError, AuditBrokenError, StorageError, OSError.
    """
    if parts.store_log is None:
        return []
    checked = await parts.store_log.check(
        parts.archive.locked, parts.roster().gate_keys()
    )
    found = [f"store log: {one}" for one in checked.result.unexplained]
    if checked.result.more:
        found.append(f"store log: {checked.result.more} more")
    if checked.unreadable:
        found.append(f"store log: {checked.unreadable} lines cannot be read")
    return found
