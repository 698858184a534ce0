"""Hosts of their own: network namespaces on a bridge, which the tests stand at too."""

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.lab.peers import missing

_numbers: Final = itertools.count()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


@dataclass(frozen=True)
class Host:
    """One of them."""

    name: str
    "Of its namespace, and of its cable's end at the bridge."
    address: str

    @property
    def launcher(self) -> tuple[str, ...]:
        """Words before a command that is to run on it."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Pull its cable out."""
        _ip("link", "set", self.name, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self.name, "up")


@dataclass(frozen=True)
class Network:
    """All of them, and the address of the tests."""

    address: str
    hosts: tuple[Host, ...]


@contextlib.contextmanager
def network(count: int) -> Iterator[Network]:
    """So many hosts, at addresses that are for such tests (RFC 2544)."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        missing("network namespaces", "run as root; scripts/setup --test installs ip")
    number = (os.getpid() + next(_numbers)) % 60_000
    bridge = f"ra{number}"
    subnet = f"198.{18 + number // 256 % 2}.{number % 256}"
    hosts = tuple(Host(f"{bridge}-{n}", f"{subnet}.{11 + n}") for n in range(count))
    with contextlib.ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for host in hosts:
            _ip("netns", "add", host.name)
            stack.callback(_ip, "netns", "del", host.name)
            inside = ("-n", host.name)
            end = ("name", "eth0", "netns", host.name)
            _ip("link", "add", host.name, "type", "veth", "peer", *end)
            stack.callback(_ip, "link", "del", host.name)
            _ip("link", "set", host.name, "master", bridge, "up")
            _ip(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _ip(*inside, "link", "set", "eth0", "up")
            _ip(*inside, "link", "set", "lo", "up")
        yield Network(f"{subnet}.1", hosts)
