"""Notices that a file was replaced, where nobody sends the signal to read it again."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from agent.service.config import Config
from agent.signalling.secrets import CREDENTIAL

EVERY: Final = 600.0
"Seconds: who was taken out of the roster is out of a host's soon after it got there."

_Seen = tuple[tuple[int, int, int] | None, ...]


def lists_of(config: Config, base: Path) -> tuple[Path, ...]:
    """The files that say who is who, and with which keys of the day and month.

    A credential of the service manager stays what it was until a restart.
    """
    named = (config.roster.path, config.gate.day_keys, config.index.keys)
    return tuple(
        base / name for name in named if name and not name.startswith(CREDENTIAL)
    )


async def watch(
    paths: Iterable[Path], changed: Callable[[], None], every: float = EVERY
) -> None:
    """Tell, for ever, whenever one of the files is another one than it was."""
    watched = tuple(paths)
    seen = await asyncio.to_thread(_look, watched)
    while True:
        await asyncio.sleep(every)
        now = await asyncio.to_thread(_look, watched)
        if now != seen:
            seen = now
            changed()


def _look(paths: Iterable[Path]) -> _Seen:
    return tuple(map(_identity, paths))


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What is another number once a file is replaced or written; None: not there."""
    try:
        status = path.stat()
    except OSError:
        return None  # who reads it again says why
    return status.st_ino, status.st_size, status.st_mtime_ns
