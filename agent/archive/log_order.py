"""A log's objects in the order of its rows, which is not always that of their names.

Names begin with a day. A writer whose clock was ahead has gone on under a day that was
still to come, and back to the right one when the clock was: what it wrote meanwhile
lies behind what came later. Numbers alone tell the order.
"""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Final

from agent.archive.reading import read_folder, read_objects
from agent.formats.audit import MAX_OBJECT, AuditError, Page, peek_page
from agent.formats.layout import LayoutError, audit_prefix, day_prefix, parse_audit
from agent.upload.backend import StorageBackend, read_object

LOOK_BACK: Final = (2, 30, 400)
"Days in which the log's end is looked for, before all of it is listed."
MARGIN: Final = timedelta(1)


def sequence_of(key: str) -> int:
    """The number of an object's first row; 0 of a name that is none of a log."""
    try:
        return parse_audit(key).sequence
    except LayoutError:
        return 0


async def last_key(backend: StorageBackend, writer: str, today: date) -> str:
    """The name of a log's last object; empty if there is none. Raises StorageError."""
    found = ""
    for days in (*LOOK_BACK, None):
        since = None if days is None else today - timedelta(days)
        found = await _last_since(backend, writer, since)
        # One of a day to come may be what a clock that was ahead has left there.
        if found and _day_of(found) <= today:
            break
    while found and (back := await goes_back(backend, found)) is not None:
        other = await _last_since(backend, writer, back)
        if other == found:
            break
        found = other
    return found


async def keys_after(
    backend: StorageBackend, writer: str, row: int, day: date
) -> list[str]:
    """Names of the objects after a row, in their order, filed under `day` or later.

    A name that is none of the log's comes first. Raises StorageError.
    """
    after = "" if day <= date.min + MARGIN else day_prefix(audit_prefix(writer), day)
    keys = [
        info.key
        async for info in backend.list(audit_prefix(writer), after=after)
        if sequence_of(info.key) > row or not sequence_of(info.key)
    ]
    return sorted(keys, key=sequence_of)


async def read_in_order(
    backend: StorageBackend,
    writer: str,
    first: date | None = None,
    last: date | None = None,
) -> AsyncIterator[tuple[str, bytes]]:
    """Name and bytes of each object filed from `first` to `last`, in their order.

    The names are listed twice, and of them only what lies behind later ones is held in
    memory. Raises StorageError, OSError.
    """
    prefix = audit_prefix(writer)
    after = day_prefix(prefix, first) if first else ""
    end = day_prefix(prefix, last + timedelta(1)) if last else f"{prefix}0"
    highest, late = 0, []
    async for info in backend.list(prefix, after=after):
        if info.key >= end:
            break
        number = sequence_of(info.key)
        if 0 < number < highest:
            late.append(info.key)
        highest = max(highest, number)
    late.sort(key=sequence_of)
    passed = {*late}
    async for key, data in read_folder(backend, prefix, MAX_OBJECT, after=after):
        if key >= end:
            break
        if key in passed:
            continue
        earlier = [one for one in late if sequence_of(one) < sequence_of(key)]
        if earlier:
            late = late[len(earlier) :]
            async for found in read_objects(backend, earlier, MAX_OBJECT):
                yield found
        yield key, data
    async for found in read_objects(backend, late, MAX_OBJECT):
        yield found


async def _last_since(backend: StorageBackend, writer: str, since: date | None) -> str:
    prefix, last = audit_prefix(writer), ""
    after = day_prefix(prefix, since) if since else ""
    async for info in backend.list(prefix, after=after):
        if not last or sequence_of(info.key) >= sequence_of(last):
            last = info.key
    return last


async def goes_back(backend: StorageBackend, key: str) -> date | None:
    """The earlier day under which the object after this one lies, if it says so.

    Raises StorageError.
    """
    data = await read_object(backend, key, MAX_OBJECT)
    try:
        page: Page = peek_page(data)
    except AuditError:
        return None  # who verifies it says what is wrong with it
    return page.rolls_to() if page.goes_back else None


def _day_of(key: str) -> date:
    try:
        return parse_audit(key).day
    except LayoutError:
        return date.min
