"""Storage through obstore: a local directory; object stores through the same API."""

import asyncio
import functools
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NoReturn, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore

from agent.common.files import sync_directory, write_new
from agent.upload.backend import (
    CHUNK,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)

MAX_FOLDERS: Final = 1000
"How many folders are remembered; a day has three."
THREADS: Final = 4
"Of one storage's own: one that hangs must not keep envelopes from the spool."

_ASIDE: Final = "#"
"Behind it, in digits, is whose half-written object it is."

P = ParamSpec("P")
T = TypeVar("T")


class DirectoryBackend:
    """A local directory. Objects appear durable and whole (link after write)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._store: LocalStore | None = None
        self._folders: set[Path] = set()
        "Whose own entries are known to be durable."
        self._own = str(uuid.uuid4().int)
        self._numbers = itertools.count()
        self._left: dict[Path, list[Path]] = {}
        "By the object they were to be: files that earlier processes died over."
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    async def put(self, key: str, source: Path | bytes) -> None:
        # Not through obstore, which reads a file whole before it writes it, and
        # syncs nothing.
        self._opened()
        try:
            await self._in_thread(self._create, self._root / key, source)
        except FileNotFoundError as error:
            # The folder, or the file to be put, was taken away under our feet.
            self._folders.clear()
            raise StorageError(f"{key} has no place or no source.") from error
        except OSError as error:
            _raise(key, error)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        store = self._opened()
        try:
            first, rest = await self._in_thread(_begin_reading, store, key)
            if first:
                yield first
            while rest and (chunk := await self._in_thread(next, rest, None)):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            _raise(key, error)

    async def head(self, key: str) -> ObjectInfo:
        store = self._opened()
        try:
            meta = await self._in_thread(obstore.head, store, key)
        except (BaseError, OSError) as error:
            _raise(key, error)
        return ObjectInfo(key, meta["size"])

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        store = self._opened()
        try:
            batches = obstore.list(store, prefix)
            while batch := await self._in_thread(next, batches, None):
                for meta in batch:
                    yield ObjectInfo(meta["path"], meta["size"])
        except (BaseError, OSError) as error:
            _raise(prefix, error)

    async def _in_thread(
        self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        # Not obstore's own coroutines: they are answered from threads of which Python
        # knows nothing, and one that answers while the interpreter ends aborts it.
        loop = asyncio.get_running_loop()
        call = functools.partial(act, *args, **kwargs)
        return await loop.run_in_executor(self._threads, call)

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

    def _create(self, path: Path, source: Path | bytes) -> None:
        """Write a file aside, make it durable, and give it its name if that is free."""
        self._make_folder(path.parent)
        for left in self._left.pop(path, ()):
            # A second copy that nobody would find: not of an envelope, above all,
            # whose end is the recording's.
            left.unlink(missing_ok=True)
        # A name that no key has and that listings leave out.
        own = f"{self._own}{next(self._numbers)}"
        aside = path.with_name(f"{path.name}{_ASIDE}{own}")
        try:
            write_new(aside, [source] if isinstance(source, bytes) else _pieces(source))
            path.hardlink_to(aside)
        finally:
            aside.unlink(missing_ok=True)
            # Also where the name was taken: perhaps by us, killed before this.
            sync_directory(path.parent)

    def _make_folder(self, folder: Path) -> None:
        if folder == self._root or folder in self._folders:
            return
        # Not `parents=True`: it gives them the umask's mode, and would put a storage
        # in the place of one that is no longer mounted.
        below = [*itertools.takewhile(self._root.__ne__, folder.parents)]
        for made in (*reversed(below), folder):
            made.mkdir(mode=0o700, exist_ok=True)
        for parent in (*below, self._root):
            sync_directory(parent)
        for file in folder.iterdir():
            name, aside, whose = file.name.partition(_ASIDE)
            if aside and not whose.startswith(self._own):
                self._left.setdefault(folder / name, []).append(file)
        if len(self._folders) >= MAX_FOLDERS:
            self._folders.clear()
        self._folders.add(folder)


def _pieces(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _begin_reading(
    store: LocalStore, key: str
) -> "tuple[bytes, obstore.BytesStream | None]":
    """All of a small object at once, as most are: each thread's turn costs CPU."""
    result = obstore.get(store, key)
    if result.meta["size"] <= CHUNK:
        return bytes(result.bytes()), None
    return b"", result.stream(min_chunk_size=CHUNK)


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
        case FileExistsError():
            raise ObjectExistsError(f"{key} exists.") from error
        case NotFoundError() | FileNotFoundError():
            raise ObjectMissingError(f"{key} is not there.") from error
        case PermissionDeniedError() | UnauthenticatedError() | PermissionError():
            raise StorageDeniedError(f"{key} may not be touched.") from error
        case _:
            reason = str(error).partition("\n")[0]
            raise StorageError(f"{key}: {reason}.") from error
