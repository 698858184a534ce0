"""Storage in a local directory: a file for each object."""

import asyncio
import functools
import hashlib
import io
import itertools
import os
import stat
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Final, NoReturn, ParamSpec, TypeVar

from agent.common.clock import monotonic
from agent.common.files import sync_directory, write_new
from agent.upload.backend import (
    CHUNK,
    ObjectDamagedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
    check_key,
    folder_of,
)
from agent.upload.backends.listing import ASIDE, walk

MAX_FOLDERS: Final = 1000
"How many folders are remembered; a day has three."
THREADS: Final = 4
"Of one storage's own: one that hangs must not keep envelopes from the spool."
LOOK: Final = 60.0
"Seconds in which a folder is not listed again for what was left beside its objects."
BATCH: Final = 500
"Objects listed in one turn of a thread: each turn costs CPU."

P = ParamSpec("P")
T = TypeVar("T")


class DirectoryBackend:
    """A local directory. Objects appear durable and whole (link after write)."""

    page_costs: ClassVar[int] = 100

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found = False
        self._folders: set[Path] = set()
        "Whose own entries are known to be durable."
        self._own = str(uuid.uuid4().int)
        self._numbers = itertools.count()
        self._left: dict[Path, list[Path]] = {}
        "By the object they were to be: files that other processes died over."
        self._looked: dict[Path, float] = {}
        "When folders were listed for those, for objects that are deleted."
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    async def put(self, key: str, source: Path | bytes, *, sha256: str = "") -> None:
        pieces = [source] if isinstance(source, bytes) else _pieces(source)
        await self._write(key, pieces, Path.hardlink_to, sha256)

    async def holds(self, key: str, *, sha256: str, size: int) -> bool:
        return await self._act(key, _holds, self._path(key), sha256, size)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        path, first, offset = self._path(key), 0, 0
        while True:
            # Opened anew for each piece: no descriptor is left where a reader leaves.
            which, chunk = await self._act(key, _piece, path, offset)
            if which != (first := first or which):
                raise StorageError(f"{key} was replaced while it was read.")
            if chunk:
                yield chunk
            offset += len(chunk)
            # Of small objects, as most are, that saves a thread's turn.
            if len(chunk) < CHUNK:
                return

    async def head(self, key: str) -> ObjectInfo:
        status = await self._act(key, _status, self._path(key))
        return ObjectInfo(key, status.st_size, status.st_mtime_ns)

    async def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        folder = folder_of(prefix)
        self._check_there()
        if not after.startswith(folder):
            if after > folder:
                return
            after = folder
        found = walk(self._root, folder, after.removeprefix(folder))
        while batch := await self._act(prefix, _some, found):
            for info in batch:
                yield info

    async def replace(self, key: str, data: bytes) -> None:
        await self._write(key, [data], _rename_to, hashlib.sha256(data).hexdigest())

    async def delete(self, key: str) -> None:
        await self._act(key, self._remove, self._path(key))

    async def keep(self, key: str) -> None:
        await self.head(key)

    async def _write(
        self,
        key: str,
        pieces: Iterable[bytes],
        give_name: Callable[[Path, Path], object],
        sha256: str,
    ) -> None:
        path = self._path(key)
        try:
            await self._act(key, self._create, path, pieces, give_name, sha256)
        except ObjectMissingError as error:
            # The folder, or the file to be put, was taken away under our feet.
            self._folders.clear()
            raise StorageError(f"{key} has no place or no source.") from error

    async def _act(
        self, key: str, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do it in a thread of our own; what the file system says is about `key`."""
        loop = asyncio.get_running_loop()
        call = functools.partial(act, *args, **kwargs)
        try:
            return await loop.run_in_executor(self._threads, call)
        except OSError as error:
            _raise(key, error)

    def _path(self, key: str) -> Path:
        self._check_there()
        return self._root / check_key(key)

    def _check_there(self) -> None:
        # Not at start: a directory that is not mounted yet must not stop recording.
        if not self._found:
            if not self._root.is_dir():
                raise StorageError(
                    f"the storage directory {self._root} is not there.",
                    hint="Mount it, or make it with `recording-agent storage init`;"
                    " hosts keep what they have recorded until it is there.",
                )
            self._found = True

    def _create(
        self,
        path: Path,
        pieces: Iterable[bytes],
        give_name: Callable[[Path, Path], object],
        sha256: str,
    ) -> None:
        """Write a file aside, make it durable, and give it its name if that is free."""
        self._make_folder(path.parent)
        for left in self._left.pop(path, ()):
            # A second copy that nobody would find: not of an envelope, above all,
            # whose end is the recording's.
            left.unlink(missing_ok=True)
        # A name that no key has and that listings leave out.
        own = f"{self._own}{next(self._numbers)}"
        aside = path.with_name(f"{path.name}{ASIDE}{own}")
        try:
            write_new(aside, pieces)
            if sha256 and _digest(aside)[1] != sha256:
                raise ObjectDamagedError(f"{path.name} was to be other bytes.")
            give_name(path, aside)
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
        self._look(folder)
        if len(self._folders) >= MAX_FOLDERS:
            self._folders.clear()
        self._folders.add(folder)

    def _look(self, folder: Path) -> None:
        """Find what others have left of objects in the making."""
        found: dict[Path, list[Path]] = {}
        for file in folder.iterdir():
            name, aside, whose = file.name.partition(ASIDE)
            if aside and not whose.startswith(self._own):
                found.setdefault(folder / name, []).append(file)
        self._left |= found

    def _look_again(self, folder: Path) -> None:
        """Not for each object of a day: to list a large folder takes long."""
        now = monotonic()
        if now - self._looked.get(folder, -LOOK) < LOOK:
            return
        self._look(folder)
        if len(self._looked) >= MAX_FOLDERS:
            self._looked.clear()
        self._looked[folder] = now

    def _remove(self, path: Path) -> None:
        """The object, copies of it in the making, and folders that it leaves empty.

        A folder's name may tell of whom its objects were.
        """
        if not path.parent.is_dir():
            return
        self._look_again(path.parent)
        for file in (path, *self._left.pop(path, ())):
            file.unlink(missing_ok=True)
        sync_directory(path.parent)
        for folder in itertools.takewhile(self._root.__ne__, path.parents):
            self._folders.discard(folder)
            try:
                folder.rmdir()
            except OSError:
                return  # something else is in it
            self._looked.pop(folder, None)
            sync_directory(folder.parent)


def _some(found: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    return [*itertools.islice(found, BATCH)]


def _pieces(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _rename_to(path: Path, aside: Path) -> None:
    aside.replace(path)


def _open(path: Path) -> io.FileIO:
    """An object's file, not what a link there leads to. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(path.name)
    return io.FileIO(fd)


def _status(path: Path) -> os.stat_result:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(path.name)
    return status


def _piece(path: Path, offset: int) -> tuple[int, bytes]:
    """Which file it is, and what stands in it from `offset` on."""
    with _open(path) as file:
        fd = file.fileno()
        return os.fstat(fd).st_ino, os.pread(fd, CHUNK, offset)


def _digest(path: Path) -> tuple[int, str]:
    """A file's size and its SHA-256, in hexadecimal."""
    with _open(path) as file:
        digest = hashlib.file_digest(file, hashlib.sha256)
        return file.tell(), digest.hexdigest()


def _holds(path: Path, sha256: str, size: int) -> bool:
    return _status(path).st_size == size and _digest(path) == (size, sha256)


def _raise(key: str, error: OSError) -> NoReturn:
    match error:
        case FileExistsError():
            raise ObjectExistsError(f"{key} exists.") from error
        case FileNotFoundError() | NotADirectoryError():
            raise ObjectMissingError(f"{key} is not there.") from error
        case PermissionError():
            raise StorageDeniedError(f"{key} may not be touched.") from error
        case _:
            raise StorageError(f"{key}: {error.strerror or error}.") from error
