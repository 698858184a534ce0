"""Reading audit logs back: whole, in order, and held against what others keep of them.

The end of each day, an object like all others, is kept in every other storage under
the same name. It names all that came before it: whoever alters or cuts off the log has
to do the same there.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from agent.archive.audit_log import AuditBrokenError, last_key
from agent.archive.chain import Chain, Finding
from agent.archive.reading import read_folder
from agent.formats.audit import MAX_OBJECT, Page, Row
from agent.formats.layout import (
    Folder,
    LayoutError,
    audit_prefix,
    day_prefix,
    parse_audit,
)
from agent.formats.sshsig import PublicKey
from agent.upload.backend import ObjectExistsError, StorageBackend, read_object


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
    async for key, data in read_folder(backend, prefix, MAX_OBJECT):
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
    prefix = audit_prefix(writer)
    after = day_prefix(prefix, first) if first else ""
    chain = Chain(writer, trusted)
    if first:
        chain.join()
    async for key, data in read_folder(backend, prefix, MAX_OBJECT, after=after):
        if last and key >= day_prefix(prefix, last + timedelta(1)):
            return
        page = chain.take(key, data)
        if page is None or chain.findings:
            raise AuditBrokenError(f"{chain.findings[0]}.")
        yield page


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
    after = await last_key(other, writer, today)
    async for key in _day_ends(backend, writer, after):
        data = await read_object(backend, key, MAX_OBJECT)
        try:
            await other.put(key, data)
        except ObjectExistsError:
            if await read_object(other, key, MAX_OBJECT) != data:
                raise AuditBrokenError(f"{key} differs from its copy.") from None
        else:
            kept += 1
    return kept


async def _day_ends(
    backend: StorageBackend, writer: str, after: str
) -> AsyncIterator[str]:
    """The last object of each day that another day follows."""
    end = ""
    async for info in backend.list(audit_prefix(writer), after=after):
        if end and _day_of(info.key) > _day_of(end):
            yield end
        end = info.key


def _day_of(key: str) -> date:
    try:
        return parse_audit(key).day
    except LayoutError as error:
        raise AuditBrokenError(f"{key}: {error}") from error
