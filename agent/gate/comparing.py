"""The object store's own access log, compared with the gate's: daily, and when asked.

Whoever reads an envelope around the gate leaves a trace there, and no row here.
"""

from agent.gate.parts import Parts


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
