"""A network namespace whose only way out is a hole, and what falls into it.

    unshare --net python -m tests.lab.alone FILE COMMAND...

runs a command with nothing but loopback and a default route to a tunnel that leads
nowhere; every packet that is sent there is named in FILE, a line each. Needs root.
"""

import fcntl
import ipaddress
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.lab.peers import missing

_DEVICE: Final = "nowhere"
_SET_UP: Final = (
    "link set lo up",
    f"addr add 198.51.100.1/24 dev {_DEVICE}",
    f"addr add 2001:db8::1/64 dev {_DEVICE} nodad",
    f"link set {_DEVICE} up",
    f"route add default dev {_DEVICE}",
    f"-6 route add default dev {_DEVICE}",
)
# From <linux/if_tun.h>.
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_NO_PI: Final = 0x1001
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}
_OF_KERNEL: Final = {0, 58}
"ICMPv6 to its neighbours, also behind a hop-by-hop header."


def possible() -> bool:
    """Whether this user may make one: root, on a kernel with tunnels."""
    return os.geteuid() == 0 and Path("/dev/net/tun").exists()


def command(packets: Path, *words: str) -> list[str]:
    """How to run something alone."""
    for tool in ("unshare", "ip"):
        if shutil.which(tool) is None:
            missing(tool, "scripts/setup --test installs it")
    lonely = [sys.executable, "-m", "tests.lab.alone", str(packets)]
    return ["unshare", "--net", "--", *lonely, *words]


def main() -> int:
    """Set the namespace up, run the command, name what came out of it."""
    packets, *words = sys.argv[1:]
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    request = struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN_NO_PI)
    fcntl.ioctl(tunnel, _TUNSETIFF, request)
    for line in _SET_UP:
        subprocess.run(["ip", *line.split()], check=True)
    ended = subprocess.run(words, check=False)
    names = []
    while packet := _read(tunnel):
        names.append(_name(packet))
    Path(packets).write_text("".join(f"{name}\n" for name in names if name))
    return ended.returncode


def _read(tunnel: int) -> bytes:
    try:
        return os.read(tunnel, 65536)
    except BlockingIOError:
        return b""


def _name(packet: bytes) -> str:
    """Where a packet was to go; nothing for the kernel's own."""
    if packet[0] >> 4 == 4:
        protocol, to, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
    else:
        protocol, to, rest = packet[6], packet[24:40], packet[40:]
        if protocol in _OF_KERNEL:
            return ""
    kind = _PROTOCOLS.get(protocol, str(protocol))
    return f"{kind} {ipaddress.ip_address(to)} {int.from_bytes(rest[2:4], 'big')}"


if __name__ == "__main__":
    sys.exit(main())
