"""Where copies are written: a folder of their own, or one zip file; never over another.

They are in the clear, which is what they are for: mode 0600, below a folder of 0700.
"""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from agent.common.errors import AgentError
from agent.common.files import make_private_directory, sync_directory, write_new

CHECKSUMS: Final = "SHA256SUMS"
"Digests of all files, as `sha256sum -c` reads them."
_STILL: Final = (1980, 1, 1, 0, 0, 0)
"What every file of a zip is dated: its own date would say when somebody worked."


class WriteError(AgentError):
    """A copy cannot be written; what was written before it stays."""

    hint = "Name a folder or file that does not exist yet, where you may write."


class Place(Protocol):
    """Takes files one after the other. Raises WriteError."""

    def add(self, name: str, data: bytes) -> None:
        """Write a file; `name` is relative, with slashes."""


@contextmanager
def open_place(path: Path) -> Iterator[Place]:
    """A folder, or a zip file where the name ends in `.zip`.

    Digests of what was added are written at the end. Raises WriteError.
    """
    try:
        with _open_zip(path) if path.suffix == ".zip" else _open_folder(path) as place:
            yield place
    except OSError as error:
        raise WriteError(f"the copy cannot be written: {error.strerror}.") from error


class _Listing:
    """Keeps the digest of each file."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def note(self, name: str, data: bytes) -> None:
        self._digests[name] = hashlib.sha256(data).hexdigest()

    def text(self) -> bytes:
        lines = (f"{digest}  {name}\n" for name, digest in self._digests.items())
        return "".join(lines).encode()


class _Folder:
    """Is made with its first file: where nothing is given out, nothing is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.listing = _Listing()

    def add(self, name: str, data: bytes) -> None:
        path = self._path / name
        make_private_directory(self._path)
        make_private_directory(path.parent)
        write_new(path, [data])
        self.listing.note(name, data)


@contextmanager
def _open_folder(path: Path) -> Iterator[Place]:
    folder = _Folder(path)
    yield folder
    folder.add(CHECKSUMS, folder.listing.text())
    for directory in {one.parent for one in path.rglob("*")}:
        sync_directory(directory)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.listing = _Listing()
        self.is_empty = True

    def add(self, name: str, data: bytes) -> None:
        self.is_empty = False
        self._archive.writestr(zipfile.ZipInfo(name, _STILL), data)
        self.listing.note(name, data)


@contextmanager
def _open_zip(path: Path) -> Iterator[Place]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            place = _Zip(archive)
            try:
                yield place
            except BaseException:
                if place.is_empty:
                    path.unlink(missing_ok=True)
                raise
            place.add(CHECKSUMS, place.listing.text())
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.resolve().parent)
