"""`[metrics]`: where a monitoring system on this host asks."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Final

import msgspec

UNIX: Final = "unix:"
MAX_PATH: Final = 100
"Bytes of a Unix socket's path: the kernel takes 107."


@dataclass(frozen=True, slots=True)
class LoopbackAddress:
    """A TCP port that only this host reaches."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SocketPath:
    """A Unix socket, which a group of users may be let into."""

    path: PurePosixPath


class MetricsConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The endpoint of Prometheus; there is none unless it is configured."""

    listen: str = ""
    """`127.0.0.1:9464`, `[::1]:9464` or `unix:/run/recording-agent/metrics.sock`;
    empty: no endpoint. Not another host's: nobody is asked for a password here."""

    def __post_init__(self) -> None:
        self.address()

    def address(self) -> LoopbackAddress | SocketPath | None:
        """Where to listen; None: nowhere. Raises ValueError if that is no place."""
        if not self.listen:
            return None
        if self.listen.startswith(UNIX):
            return _socket_path(self.listen.removeprefix(UNIX))
        return _loopback(self.listen)


def _socket_path(path: str) -> SocketPath:
    if not path.startswith("/") or "\0" in path or len(path.encode()) > MAX_PATH:
        raise ValueError(
            f"listen: an absolute path of at most {MAX_PATH} bytes is expected behind"
            f" {UNIX!r}"
        )
    return SocketPath(PurePosixPath(path))


def _loopback(listen: str) -> LoopbackAddress:
    host, _, port = listen.rpartition(":")
    digits = port.isascii() and port.isdecimal() and len(port) <= 5
    if not digits or not 0 < int(port) < 65536:
        raise ValueError(f"listen: {listen!r} has no port")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(bare)
    except ValueError:
        raise ValueError(f"listen: {host!r} is no IP address") from None
    if not address.is_loopback:
        raise ValueError(f"listen: {host} is not this host alone")
    return LoopbackAddress(str(address), int(port))
