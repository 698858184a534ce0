"""Memory that may outlive its process: a file without a name, mapped, never swapped."""

import ctypes
import fcntl
import mmap
import os
from dataclasses import dataclass
from typing import Final

from agent.common.errors import AgentError

_MLOCK_ONFAULT: Final = 1


class MemoryRefusedError(AgentError):
    """The kernel gives no memory that stays in memory."""

    permanent = False
    hint = "Raise LimitMEMLOCK= of the unit."


@dataclass(frozen=True, slots=True)
class Memory:
    """A memfd and its mapping; whoever holds the descriptor sees the same bytes."""

    fd: int
    view: mmap.mmap

    def close(self) -> None:
        """Let go of both; the bytes stay for who else holds the descriptor."""
        self.view.close()
        os.close(self.fd)


def create_memory(name: str, size: int) -> Memory:
    """Zeroed memory of `size` bytes. Raises MemoryRefusedError.

    Pages count only once they are written to.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        # Who holds it too could cut it off otherwise, and kill us with SIGBUS.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return map_memory(fd)
    except OSError as error:
        os.close(fd)
        raise MemoryRefusedError(f"no memory for {name}: {error.strerror}.") from error
    except MemoryRefusedError:
        os.close(fd)
        raise


def map_memory(fd: int) -> Memory:
    """Memory that somebody else made. Raises MemoryRefusedError, OSError."""
    view = mmap.mmap(fd, 0)
    try:
        _lock(view)
    except OSError as error:
        view.close()
        raise MemoryRefusedError(
            f"memory cannot be kept from the disk: {error.strerror}."
        ) from error
    return Memory(fd, view)


def _lock(view: mmap.mmap) -> None:
    """Keep what is written here off swap space. Raises OSError."""
    anchor = ctypes.c_char.from_buffer(view)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_void_p(ctypes.addressof(anchor))
    refused = libc.mlock2(address, ctypes.c_size_t(len(view)), _MLOCK_ONFAULT)
    del anchor  # it would keep the mapping from being closed
    if refused:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
