"""Storage through obstore: a local directory; object stores through the same API."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore

from agent.common.files import sync_directory
from agent.upload.backend import (
    CHUNK,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)


class DirectoryBackend:
    """A local directory. Objects appear whole (link after write) and durable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._store: LocalStore | None = None

    async def put(self, key: str, source: Path | bytes) -> None:
        try:
            await obstore.put_async(
                self._opened(), key, source, mode="create", use_multipart=False
            )
            await asyncio.to_thread(self._make_durable, key)
        except (BaseError, OSError) as error:
            _raise(key, error)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        try:
            result = await obstore.get_async(self._opened(), key)
            async for chunk in result.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            _raise(key, error)

    async def head(self, key: str) -> ObjectInfo:
        try:
            meta = await obstore.head_async(self._opened(), key)
        except (BaseError, OSError) as error:
            _raise(key, error)
        return ObjectInfo(key, meta["size"])

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        try:
            async for batch in obstore.list(self._opened(), prefix):
                for meta in batch:
                    yield ObjectInfo(meta["path"], meta["size"])
        except (BaseError, OSError) as error:
            _raise(prefix, error)

    def _opened(self) -> LocalStore:
        # Not at start: a directory that is not mounted yet must not stop recording.
        if self._store is None:
            if not self._root.is_dir():
                raise StorageError(
                    f"the storage directory {self._root} is not there.",
                    hint="Mount or create it; recordings wait in the spool.",
                )
            self._store = LocalStore(self._root)
        return self._store

    def _make_durable(self, key: str) -> None:
        """Fsync an object and every directory its creation may have changed."""
        path = self._root / key
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchmod(fd, 0o600)
            os.fsync(fd)
        finally:
            os.close(fd)
        for parent in path.parents:
            sync_directory(parent)
            if parent == self._root:
                break


def open_store(url: str, base: Path) -> DirectoryBackend:
    """The backend of a `[[storage]]` URL. Raises StorageError for unknown schemes."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise StorageError(
            f"storage of the kind {parts.scheme}: is not supported.",
            hint="Use a file:///… URL.",
        )
    return DirectoryBackend(base / unquote(parts.path))


def _raise(key: str, error: BaseException) -> NoReturn:
    match error:
        case AlreadyExistsError():
            raise ObjectExistsError(f"{key} exists.") from error
        case NotFoundError() | FileNotFoundError():
            raise ObjectMissingError(f"{key} is not there.") from error
        case PermissionDeniedError() | UnauthenticatedError() | PermissionError():
            raise StorageDeniedError(f"{key} may not be touched.") from error
        case StorageError():
            raise error
        case _:
            reason = str(error).partition("\n")[0]
            raise StorageError(f"{key}: {reason}.") from error
