"""A backend in memory: for tests that need storage to fail on demand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from agent.upload.backend import (
    CHUNK,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
)


class MemoryBackend:
    """Keeps objects in a dict; `before(operation, key)` may raise."""

    def __init__(self, before: Callable[[str, str], None] | None = None) -> None:
        self._before = before or (lambda _operation, _key: None)
        self.objects: dict[str, bytes] = {}

    async def put(self, key: str, source: Path | bytes) -> None:
        self._before("put", key)
        data = await asyncio.to_thread(_read, source)
        if key in self.objects:  # asked last: another may have put it meanwhile
            raise ObjectExistsError(f"{key} exists.")
        self.objects[key] = data
        self._before("put done", key)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        self._before("get", key)
        if key not in self.objects:
            raise ObjectMissingError(f"{key} is not there.")
        data = self.objects[key]
        for start in range(0, len(data), CHUNK):
            yield data[start : start + CHUNK]

    async def head(self, key: str) -> ObjectInfo:
        self._before("head", key)
        if key not in self.objects:
            raise ObjectMissingError(f"{key} is not there.")
        return ObjectInfo(key, len(self.objects[key]))

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        self._before("list", prefix)
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        for key, data in sorted(self.objects.items()):
            if key.startswith(folder):
                yield ObjectInfo(key, len(data))


def _read(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()
