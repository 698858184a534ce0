"""Reading audit logs back: whole, in order, and held against what others keep of them.

The end of each day, an object like all others, is kept in every other storage under
the same name. It names all that came before it: whoever alters or cuts off the log has
to do the same there.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from agent.archive.audit_log import AuditBrokenError
from agent.archive.chain import Chain, Finding
from agent.archive.log_order import (
    keys_after,
    last_key,
    read_in_order,
    sequence_of,
)
from agent.archive.reading import read_folder, read_objects
from agent.formats.audit import MAX_OBJECT, Page, Row
from agent.formats.layout import (
    Folder,
    LayoutError,
    audit_prefix,
    parse_audit,
)
from agent.formats.sshsig import PublicKey
from agent.upload.backend import ObjectExistsError, StorageBackend, read_object

BATCH: Final = 320
"Objects read before it is looked whether the log goes back."


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one writer's log."""

    writer: str
    objects: int
    rows: int
    heads: int
    "Ends of days that other storages keep, and that were compared."
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was altered, removed, moved or cut off."""
        return not self.findings


async def verify_log(
    backend: StorageBackend,
    writer: str,
    trusted: Iterable[PublicKey],
    copies: Mapping[str, StorageBackend],
) -> Report:
    """Read a log from its beginning, and compare it with each of `copies`, by name.

    Raises StorageError, OSError: then nothing is known.
    """
    chain = Chain(writer, trusted)
    prefix = audit_prefix(writer)
    async for key, data in read_in_order(backend, writer):
        chain.take(key, data)
    count = 0
    for place, other in copies.items():
        heads = {
            key: data async for key, data in read_folder(other, prefix, MAX_OBJECT)
        }
        chain.compare(place, heads)
        count += len(heads)
    return Report(writer, chain.objects, chain.rows, count, tuple(chain.findings))


async def writers(backend: StorageBackend) -> list[str]:
    """Who writes audit logs here. Raises StorageError."""
    found: list[str] = []
    after = ""
    while (key := await _first(backend, Folder.AUDIT, after)) is not None:
        writer = key.split("/")[1]
        found.append(writer)
        after = f"{Folder.AUDIT}/{writer}0"  # what follows `/` in the order of keys
    return found


async def _first(backend: StorageBackend, prefix: str, after: str) -> str | None:
    async for info in backend.list(prefix, after=after):
        return info.key
    return None


async def read_pages(
    backend: StorageBackend,
    writer: str,
    trusted: Iterable[PublicKey],
    first: date | None = None,
    last: date | None = None,
) -> AsyncIterator[Page]:
    """The pages filed from `first` to `last`, both included, in order.

    Raises AuditBrokenError, naming the first object that is not its writer's;
    StorageError, OSError.
    """
    chain = Chain(writer, trusted)
    if first:
        chain.join()
    async for key, data in read_in_order(backend, writer, first, last):
        page = chain.take(key, data)
        if page is None or chain.findings:
            raise AuditBrokenError(f"{chain.findings[0]}.")
        day = page.rolls_to()
        if day and ((first and day < first) or (last and day > last)):
            chain.join()  # what comes next has come back from days that are not read
        yield page


@dataclass(frozen=True, slots=True)
class After:
    """Where reading goes on."""

    row: int
    "Of the last that was read; 0: none was."
    day: date
    "Under which the next one lies."


async def read_after(
    backend: StorageBackend, chain: Chain, place: After
) -> AsyncIterator[tuple[Page, date]]:
    """The pages after a place, in order, and the day under which the next one lies.

    What is wrong is among the chain's findings, and passed by. Raises StorageError,
    OSError.
    """
    row, day = place.row, place.day
    if row:
        chain.join()
    keys = await keys_after(backend, chain.writer, row, day)
    while keys:
        batch, keys = keys[:BATCH], keys[BATCH:]
        async for key, data in read_objects(backend, batch, MAX_OBJECT):
            page = chain.take(key, data)
            if page is None:
                continue
            row = max(row, page.last)
            lies = page.rolls_to() or _day_of(key)
            yield page, lies
            if lies < day:
                day = lies
                keys = await keys_after(backend, chain.writer, row, day)
                break


async def read_rows(
    backend: StorageBackend,
    writer: str,
    trusted: Iterable[PublicKey],
    first: date | None = None,
    last: date | None = None,
) -> AsyncIterator[Row]:
    """The rows of `read_pages`, with its errors."""
    async for page in read_pages(backend, writer, trusted, first, last):
        for row in page.rows:
            yield row


async def keep_heads(
    backend: StorageBackend, other: StorageBackend, writer: str, today: date
) -> int:
    """Copy the ends of days to another storage; how many were not there yet.

    Raises AuditBrokenError if it has another object under such a name: the log or
    its copy was altered; StorageError, OSError.
    """
    kept = 0
    head = await last_key(other, writer, today)
    for key in await _day_ends(backend, writer, head):
        data = await read_object(backend, key, MAX_OBJECT)
        try:
            await other.put(key, data)
        except ObjectExistsError:
            if await read_object(other, key, MAX_OBJECT) != data:
                raise AuditBrokenError(f"{key} differs from its copy.") from None
        else:
            kept += 1
    return kept


async def _day_ends(backend: StorageBackend, writer: str, head: str) -> list[str]:
    """The last objects of days that another follows, after the one that is kept.

    Once a night all names are looked at: a clock that was wrong for a while, and right
    again on the same day, has left objects far away, and no name beside them says so.
    """
    keys = await keys_after(backend, writer, sequence_of(head), date.min)
    return [one for one, other in pairwise(keys) if _day_of(one) != _day_of(other)]


def _day_of(key: str) -> date:
    try:
        return parse_audit(key).day
    except LayoutError as error:
        raise AuditBrokenError(f"{key}: {error}") from error
