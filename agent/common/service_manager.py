"""The service manager: told how we are, and keeper of descriptors over our death.

sd_notify(3) and sd_listen_fds(3): one datagram, and three variables. Written here and
not taken from systemd-python, which has no wheel: what calls survive by must not hang
on a compiler on the host.
"""

import array
import os
import socket
from collections.abc import MutableMapping, Sequence
from typing import Final

FIRST_FD: Final = 3
"SD_LISTEN_FDS_START."
_TAKEN: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class ServiceManager:
    """Who started us, if it is one that wants to be told; else all is void."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes what is for us out of `environment`, so that no child believes it."""
        self._channel = _connect(environment.pop("NOTIFY_SOCKET", ""))
        self._given = _given(environment)
        self.watchdog = _watchdog(environment)
        "Seconds within which it wants signs of life, one at least; 0: none."
        self.keeps = self._channel is not None and "FDSTORE" in environment
        """Whether it keeps descriptors for us: $FDSTORE holds how many (systemd 254),
        or the unit sets it."""

    @property
    def there(self) -> bool:
        """Whether somebody is told."""
        return self._channel is not None

    def take(self) -> dict[str, int]:
        """The descriptors that it kept for us, by name; ours to close from now on."""
        given, self._given = self._given, {}
        return given

    def put(self, name: str, fd: int) -> None:
        """Have it keep a descriptor, also if its peer closes it. Raises OSError."""
        self._send([f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0"], [fd])

    def remove(self, name: str) -> None:
        """Have it let go of what it keeps under a name. Raises OSError."""
        self._send([f"FDSTOREREMOVE=1\nFDNAME={name}"])

    def tell(self, *lines: str) -> None:
        """Tell it something (`READY=1`). Raises OSError."""
        self._send(lines)

    def mention(self, *lines: str) -> bool:
        """Tell it what may be lost (`WATCHDOG=1`); whether it was taken.

        Never waits: a service manager that does not listen must not hold up calls. If
        it missed a sign of life, the next one comes before it is missed.
        """
        if self._channel is None:
            return False
        try:
            self._channel.send("\n".join(lines).encode(), socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Say nothing more."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _send(self, lines: Sequence[str], fds: Sequence[int] = ()) -> None:
        if self._channel is not None:
            rights = array.array("i", fds).tobytes()
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else []
            self._channel.sendmsg(["\n".join(lines).encode()], ancillary)


def _connect(path: str) -> socket.socket | None:
    if not path:
        return None
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        channel.connect("\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        channel.close()
        raise
    return channel


def _watchdog(environment: MutableMapping[str, str]) -> float:
    """What sd_watchdog_enabled(3) gives, in seconds."""
    microseconds = environment.pop("WATCHDOG_USEC", "")
    pid = environment.pop("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or pid not in {"", str(os.getpid())}:
        return 0.0
    return int(microseconds) / 1e6


def _given(environment: MutableMapping[str, str]) -> dict[str, int]:
    """What sd_listen_fds_with_names gives; closed on exec from now on."""
    pid, count, names = (environment.pop(name, "") for name in _TAKEN)
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    fds = range(FIRST_FD, FIRST_FD + int(count))
    for fd in fds:
        os.set_inheritable(fd, False)  # noqa: FBT003 - the os module's own signature
    return dict(zip(names.split(":"), fds, strict=False))
