"""Where copies are written: a folder of their own, or one zip file; never over another.

They are in the clear, which is what they are for: mode 0600, below a folder of 0700.
"""

import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError
from agent.common.files import make_private_directory, sync_directory, write_new

_STILL: Final = (1980, 1, 1, 0, 0, 0)
"What every file of a zip is dated: its own date would say when somebody worked."


class WriteError(AgentError):
    """A copy cannot be written; what was written before it stays."""

    hint = "Name a folder or file that does not exist yet, where you may write."


def write_folder(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[Path]:
    """Write files into a folder, which is made if need be. Raises WriteError."""
    written = []
    try:
        make_private_directory(folder)
        for name, data in files:
            path = folder / name
            make_private_directory(path.parent)
            write_new(path, [data])
            written.append(path)
        sync_directory(folder)
    except OSError as error:
        raise WriteError(f"the copy cannot be written: {error.strerror}.") from error
    return written


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files into a new zip file, one in memory at a time. Raises WriteError."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, data in files:
                    archive.writestr(zipfile.ZipInfo(name, _STILL), data)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.resolve().parent)
    except OSError as error:
        raise WriteError(f"the copy cannot be written: {error.strerror}.") from error


def checksums(files: Mapping[str, str]) -> bytes:
    """Digests as `sha256sum -c` reads them."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return "".join(lines).encode()
