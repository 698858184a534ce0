"""The Unix sockets by which main processes and workers find each other."""

import socket
from pathlib import Path
from typing import Final

from agent.common.files import socket_name

_BACKLOG: Final = 4


def control_sockets(directory: Path) -> list[Path]:
    """Those of a directory, whoever listens there, or nobody."""
    return sorted(directory.glob("media-*.sock"))


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in place of what is there. Raises OSError."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with socket_name(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """A connection to who listens at `path`. Raises OSError."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        channel.settimeout(0)
        with socket_name(path) as name:
            channel.connect(name)
    except BaseException:
        channel.close()
        raise
    return channel
