"""The durable-write rituals; no other module opens a spool file for writing.

Everything goes to the kernel through `os` at once, nothing through a buffer of ours:
a test that stands in between sees each step, and cuts the power after it.
"""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path


def write_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Make `path` hold exactly `data`, or leave it as it was, across a power cut.

    Raises OSError as the file system does; nothing is left behind then.
    """
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)  # else the rename itself may be lost


def write_new(path: Path, chunks: Iterable[bytes]) -> None:
    """Make a new file of mode 0600, whose content is durable on return.

    Its name is not, until its directory is. Raises FileExistsError if `path` is there
    already, OSError as the file system does; what was written by then stays.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for chunk in chunks:
            write_all(fd, chunk)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data` at the descriptor's place. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def create_exclusively(path: Path, *, mode: int = 0o600) -> int:
    """Open a new file for writing and return its descriptor.

    The directory entry is durable on return. Raises FileExistsError if `path`
    is there already: nobody ever appends to another's file.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        sync_directory(path.parent)
    except BaseException:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def sync_file(path: Path) -> None:
    """Make durable what anybody has written to a file, if it is there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make the entries of directory `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_private_directory(path: Path) -> None:
    """Create `path` (and parents) with mode 0700, or tighten it if it exists.

    The names of those it creates are durable on return: else a power cut would take
    them with all that was durably put into them. Raises OSError.
    """
    made = [*itertools.takewhile(lambda one: not one.exists(), (path, *path.parents))]
    for directory in reversed(made):
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)
    path.mkdir(exist_ok=True)  # raises where it is something else
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


@contextlib.contextmanager
def socket_name(path: Path) -> Iterator[str]:
    """A name for the Unix socket `path` that fits sockaddr_un, however deep it lies."""
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
