"""What is in a directory of objects, in the order of their keys: blocking."""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.upload.backend import ObjectInfo, is_key

NAMES: Final = 10_000
"Of one folder that are in memory at once; a larger one is read several times."
ASIDE: Final = "#"
"Behind it, in digits, is whose half-written object it is; no key has it."


def walk(root: Path, folder: str, after: str = "") -> Iterator[ObjectInfo]:
    """The objects in a folder, by key; memory for `NAMES` names of each level.

    `folder` ends with a slash or is empty; `after` is what keys must be greater than,
    without the folder. Raises OSError; a folder that is not there has no objects.
    """
    last = ""
    while names := _names(root / folder, after, last):
        for name in names:
            key = folder + name
            if name.endswith("/"):
                inner = after.removeprefix(name) if after.startswith(name) else ""
                yield from walk(root, key, inner)
                continue
            try:
                status = (root / key).lstat()
            except FileNotFoundError:
                continue  # deleted meanwhile
            yield ObjectInfo(key, status.st_size, status.st_mtime_ns)
        last = names[-1]


def _names(folder: Path, after: str, last: str) -> list[str]:
    """The next names in a folder, beyond `last`, that are or lead beyond `after`.

    A folder's ends with its slash: so they sort as keys do.
    """
    try:
        with os.scandir(folder) as entries:
            names = (_name(entry) for entry in entries)
            wanted = (
                name
                for name in names
                if name > last and (name > after or _leads_to(name, after))
            )
            return heapq.nsmallest(NAMES, wanted)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _leads_to(name: str, key: str) -> bool:
    return name.endswith("/") and key.startswith(name)


def _name(entry: os.DirEntry[str]) -> str:
    """Empty for what is no object and no folder: a link leads out of the storage."""
    if not is_key(entry.name):
        return ""
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/"
    return entry.name if entry.is_file(follow_symlinks=False) else ""
