"""Ports for tests that name them: others' for every run, so that runs may overlap."""

import atexit
import os
import socket
from typing import Final

_SPAN: Final = 400
_LOWEST: Final = 20_000
"Above those that the lab gives to its peers."
_RUNS: Final = 30
"Below those ports that the kernel gives to whoever asks."


def _claim() -> int:
    """The first port of a span that no other run on this host has.

    The span's last port, bound as long as this process lives, is what says so.
    """
    for n in range(_RUNS):
        base = _LOWEST + (os.getpid() + n) % _RUNS * _SPAN
        mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", base + _SPAN - 1))
        except OSError:
            mark.close()
            continue
        atexit.register(mark.close)
        return base
    raise RuntimeError(f"There are {_RUNS} test runs on this host already.")


BASE = _claim()
"Even, with 399 of this run's own."
