"""`recording-agent archive index-keys`: for hosts of a site without a gate."""

import os
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.desk_opening import read_index
from agent.cli.archive.common import Config, local_day, settings
from agent.common.errors import AgentError
from agent.common.files import create_exclusively, write_all
from agent.formats.blind_index import KEY_SIZE, IndexKeys, month_key
from agent.formats.layout import month_of
from agent.signalling.secrets import Secrets


class IndexKeysError(AgentError):
    """Index keys cannot be made."""

    hint = "Name the file of the root in [index] keys; --new makes one."


def command(
    *,
    new: Annotated[Path | None, Parameter(name="--new")] = None,
    config: Config = None,
) -> None:
    """Print the index keys that a host holds: this month's and the next's, secret.

    Where there is a gate, its own command prints them. Without one, quality staff
    keep the root; whoever has it can find any number.

    Args:
        new: Make a new root in this file (mode 0600) instead.
        config: See above.
    """
    if new is not None:
        _make(new)
        return
    loaded, base = settings(config)
    root = read_index(loaded.index.keys, Secrets(base, None))
    if not isinstance(root, bytes):
        raise IndexKeysError("the configuration names no root of index keys.")
    today = local_day()
    months = {month_of(day) for day in (today, _next_month(today))}
    keys = IndexKeys({month: month_key(root, month) for month in sorted(months)})
    sys.stdout.buffer.write(keys.to_bytes())


def _make(path: Path) -> None:
    try:
        fd = create_exclusively(path)
        try:
            write_all(fd, os.urandom(KEY_SIZE).hex().encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise IndexKeysError(
            f"{path} cannot be written: {error.strerror}.",
            hint="Name a file that does not exist yet, in a folder you may write.",
        ) from error


def _next_month(today: date) -> date:
    return today.replace(day=1) + timedelta(days=31)
