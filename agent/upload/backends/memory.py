"""A backend in memory: for tests that need storage to fail on demand."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

from agent.common.clock import utc_ns
from agent.upload.backend import (
    CHUNK,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectLockedError,
    ObjectMissingError,
    check_key,
    folder_of,
)


class MemoryBackend:
    """Keeps objects in a dict; `before(operation, key)` may raise."""

    page_costs: ClassVar[int] = 4

    def __init__(
        self,
        before: Callable[[str, str], None] | None = None,
        *,
        clock: Callable[[], int] = utc_ns,
    ) -> None:
        self._before = before or (lambda _operation, _key: None)
        self._clock = clock
        self.objects: dict[str, bytes] = {}
        self.modified: dict[str, int] = {}
        "When they were stored, in UTC nanoseconds; what a test put in by itself: 0."
        self.locked: set[str] = set()
        "Keys that can neither be deleted nor replaced."

    async def put(self, key: str, source: Path | bytes, *, sha256: str = "") -> None:
        self._before("put", check_key(key))
        data = await asyncio.to_thread(_read, source)
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise ObjectDamagedError(f"{key} was to be other bytes.")
        if key in self.objects:  # asked last: another may have put it meanwhile
            raise ObjectExistsError(f"{key} exists.")
        self._store(key, data)
        self._before("put done", key)
        if sha256 and not await self.holds(key, sha256=sha256, size=len(data)):
            raise ObjectDamagedError(f"{key} holds other bytes.")

    async def holds(self, key: str, *, sha256: str, size: int) -> bool:
        self._before("holds", key)
        data = self._found(key)
        return (len(data), hashlib.sha256(data).hexdigest()) == (size, sha256)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        self._before("get", key)
        data = self._found(key)
        for start in range(0, len(data), CHUNK):
            yield data[start : start + CHUNK]

    async def head(self, key: str) -> ObjectInfo:
        self._before("head", key)
        return self._info(key, self._found(key))

    async def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        self._before("list", prefix)
        folder = folder_of(prefix)
        for key, data in sorted(self.objects.items()):
            if key.startswith(folder) and key > after:
                yield self._info(key, data)

    async def replace(self, key: str, data: bytes) -> None:
        self._before("replace", check_key(key))
        self._check_lock(key)
        self._store(key, data)

    async def delete(self, key: str) -> None:
        self._before("delete", check_key(key))
        self._check_lock(key)
        self.objects.pop(key, None)
        self.modified.pop(key, None)

    async def keep(self, key: str) -> None:
        self._before("keep", key)
        self._found(key)

    def _store(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.modified[key] = self._clock()

    def _found(self, key: str) -> bytes:
        if check_key(key) not in self.objects:
            raise ObjectMissingError(f"{key} is not there.")
        return self.objects[key]

    def _info(self, key: str, data: bytes) -> ObjectInfo:
        return ObjectInfo(key, len(data), self.modified.get(key, 0))

    def _check_lock(self, key: str) -> None:
        if key in self.locked:
            raise ObjectLockedError(f"{key} is locked.")


def _read(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()
