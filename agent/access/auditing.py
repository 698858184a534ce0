"""What the audit logs tell, read where they are kept, whoever wrote them.

A data protection officer needs no gate for it: the logs are signed by their writers,
whom the roster names, and chained; each is verified while it is read.
"""

from collections.abc import AsyncIterator, Callable, Collection
from datetime import date
from typing import TypeVar

from agent.access.desk import Desk, DeskError
from agent.archive.audit_reports import Consultation, when_and_why
from agent.archive.audit_verification import Report, read_rows, verify_log, writers
from agent.archive.store_log import Checked, StoreLog
from agent.formats.audit import Row, host_of
from agent.formats.sshsig import PublicKey

T = TypeVar("T")


async def uses(
    desk: Desk, recording_ids: Collection[str], first: date | None = None
) -> dict[str, list[Consultation]]:
    """When and why recordings were used, by id; by whom it does not say.

    From a day in UTC on, or as far back as is kept.

    Of the gate, or of the logs in storage, which are read once. Raises GateError,
    DeskError, AuditBrokenError, StorageError.
    """
    if desk.gate is not None:
        told = {one: await desk.gate.accesses(one, first) for one in recording_ids}
        return {
            one: [Consultation(r.time, r.act, r.purpose, r.result) for r in rows]
            for one, rows in told.items()
        }
    wanted = set(recording_ids)
    found = [row async for row in rows_of_all(desk, first) if row.id in wanted]
    found.sort(key=lambda row: row.time)
    return {one: when_and_why(found, one) for one in recording_ids}


async def report(
    desk: Desk,
    make: Callable[[list[Row]], T],
    keep: Callable[[Row], bool],
    first: date | None = None,
    last: date | None = None,
) -> T:
    """A report on the rows that `keep` chooses, from `first` to `last`, in UTC days.

    Raises DeskError, AuditBrokenError, StorageError.
    """
    rows = [row async for row in rows_of_all(desk, first, last) if keep(row)]
    return make(sorted(rows, key=lambda row: row.time))


async def rows_of_all(
    desk: Desk, first: date | None = None, last: date | None = None
) -> AsyncIterator[Row]:
    """Every row of every writer, verified as it is read."""
    log = desk.targets[0].locked
    for writer in await writers(log):
        trusted = _keys_of(desk, writer)
        async for row in read_rows(log, writer, trusted, first, last):
            yield row


async def verify_logs(desk: Desk) -> list[Report]:
    """Every log from its beginning, compared with what the other targets keep of it.

    Raises DeskError, StorageError.
    """
    log, *others = [target.locked for target in desk.targets]
    copies = {f"storage[{number}]": other for number, other in enumerate(others, 1)}
    return [
        await verify_log(log, writer, _keys_of(desk, writer), copies)
        for writer in await writers(log)
    ]


async def check_store_log(desk: Desk, store_log: StoreLog) -> Checked:
    """Hold the object store's own log against the gate's.

    Raises DeskError, StoreLogError, AuditBrokenError, StorageError, OSError.
    """
    return await store_log.check(desk.targets[0].locked, _keys_of(desk, ""))


def _keys_of(desk: Desk, writer: str) -> tuple[PublicKey, ...]:
    """The keys a writer may have signed with: a host's own, else the gate's."""
    if desk.roster is None:
        raise DeskError(
            "without a roster nobody says whose signatures the logs need.",
            hint="Give [roster] in the configuration.",
        )
    return desk.roster.host_keys().get(host_of(writer), desk.roster.gate_keys())
