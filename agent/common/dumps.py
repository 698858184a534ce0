"""Memory that is nobody else's to see: of processes that hold keys or audio."""

import ctypes
import os
import resource
from typing import Final

DUMPABLE: Final = "RECORDING_AGENT_DUMPABLE"
"Environment variable of the tests that look for audio in a process's memory."
_PR_SET_DUMPABLE: Final = 4


def forbid_dumps() -> None:
    """Let no core file and no debugger of the same user see this process's memory.

    To be called in each process anew: what is executed is dumpable again. Raises
    OSError if the kernel refuses.
    """
    if os.environ.get(DUMPABLE) == "1":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The limit says nothing to a core_pattern that is a pipe (core(5)).
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
