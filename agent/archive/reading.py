"""Many small objects of one folder, in the order of their names, several at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from agent.upload.backend import ObjectTooLargeError, StorageBackend, read_object

AT_ONCE: Final = 32
"Objects read at the same time: hides the latency of an object store."
MAX_BATCH: Final = 8 << 20
"Bytes of them, by what the listing says."


async def read_folder(
    backend: StorageBackend, prefix: str, limit: int, *, after: str = ""
) -> AsyncIterator[tuple[str, bytes]]:
    """Name and bytes of each object of the folder `prefix`, in order of the names.

    One of more than `limit` bytes is none of ours: it is given without any, so that
    it ends nothing. Raises StorageError, OSError.
    """
    batch: list[str] = []
    size = 0
    async for info in backend.list(prefix, after=after):
        batch.append(info.key)
        size += info.size
        if len(batch) >= AT_ONCE or size >= MAX_BATCH:
            for found in await _read(backend, batch, limit):
                yield found
            batch, size = [], 0
    for found in await _read(backend, batch, limit):
        yield found


async def read_objects(
    backend: StorageBackend, keys: Sequence[str], limit: int
) -> AsyncIterator[tuple[str, bytes]]:
    """As `read_folder`, of the objects that are named, in that order."""
    for start in range(0, len(keys), AT_ONCE):
        for found in await _read(backend, [*keys[start : start + AT_ONCE]], limit):
            yield found


async def _read(
    backend: StorageBackend, keys: list[str], limit: int
) -> list[tuple[str, bytes]]:
    return await asyncio.gather(*(_bounded(backend, key, limit) for key in keys))


async def _bounded(backend: StorageBackend, key: str, limit: int) -> tuple[str, bytes]:
    try:
        return key, await read_object(backend, key, limit)
    except ObjectTooLargeError:
        return key, b""
