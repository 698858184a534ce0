"""Which release this process was started from."""

import sys
from functools import cache
from pathlib import Path
from typing import Final

from agent import __version__

FILE: Final = "share/release"
"Below an installation: what its package is called, Debian revision and all."
MAX_RELEASE: Final = 64


@cache
def release() -> str:
    """The installation's; the agent's version where nothing is installed.

    To be asked once at a process's start: an upgrade replaces the file beneath it, and
    what was loaded before stays what it is.
    """
    try:
        with (Path(sys.prefix) / FILE).open(encoding="ascii") as file:
            return file.read(MAX_RELEASE).strip() or __version__
    except FileNotFoundError:
        return __version__
