"""Storage in directories: made, and judged as far as a file system can be."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.common.files import make_private_directory
from agent.upload.bucket_properties import Finding, Verdict

_OTHERS: Final = stat.S_IRWXO


def check_directory(path: Path) -> Iterator[Finding]:
    """Judge one of a storage's directories."""
    name = str(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        text, remedy = str(error.strerror), "`recording-agent storage init` makes it."
        yield Finding(name, "directory", Verdict.WRONG, text, remedy)
        return
    if not stat.S_ISDIR(mode):
        text, remedy = "it is something else", "Name a directory."
        yield Finding(name, "directory", Verdict.WRONG, text, remedy)
        return
    yield Finding(name, "directory", Verdict.RIGHT, "it is there")
    if mode & _OTHERS:
        text = f"everybody on this host may enter it ({stat.S_IMODE(mode):04o})"
        yield Finding(name, "access", Verdict.WRONG, text, "Take others' rights away.")
    else:
        yield Finding(name, "access", Verdict.RIGHT, "others may not enter it")


def init_directory(path: Path) -> Iterator[Finding]:
    """Make a directory where there is none, and judge what is there then."""
    if not path.exists():
        try:
            make_private_directory(path)
        except OSError as error:
            text = f"it cannot be made: {error.strerror}"
            remedy = "Make it, for the user that the agent runs as."
            yield Finding(str(path), "directory", Verdict.WRONG, text, remedy)
            return
    yield from check_directory(path)
