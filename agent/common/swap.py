"""Swap space that would put keys and audio of memory on a disk in the clear.

proc_swaps(5); what a block device is, is told by sysfs. Memory that swap space cannot
get is safe from it: a service manager sees to that (MemorySwapMax=0).
"""

import os
from pathlib import Path
from typing import Final

from agent.common.errors import AgentError

MAX_DEPTH: Final = 8
"Of block devices on each other (LVM on LUKS on RAID …); more is not believed."


class SwapError(AgentError):
    """What is in memory could get on a disk in the clear."""

    hint = (
        "Encrypt the swap space, turn it off, run with MemorySwapMax=0, or set"
        " allow_swap in [agent]."
    )


def forbid_swap(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
    """Raise SwapError if this process could be swapped out unencrypted.

    A kernel without swap, or one that shows none, has nothing to be said against.
    """
    bare = unencrypted_swaps(proc, sys)
    if bare and not _is_out_of_reach(proc, sys):
        names = ", ".join(bare)
        raise SwapError(f"Swap space is not known to be encrypted: {names}.")


def unencrypted_swaps(
    proc: Path = Path("/proc"), sys: Path = Path("/sys")
) -> tuple[str, ...]:
    """The swap areas that are in use and not known to be encrypted, or in memory."""
    try:
        lines = (proc / "swaps").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    areas = [line.split()[:2] for line in lines[1:] if line.strip()]
    return tuple(name for name, kind in areas if not _is_safe(name, kind, sys))


def _is_safe(name: str, kind: str, sys: Path) -> bool:
    if kind == "partition":
        # Its node may be hidden from us (PrivateDevices=); the kernel's name is not.
        return _is_encrypted(sys / "class/block" / Path(name).name)
    try:
        device = Path(name.encode().decode("unicode_escape")).stat().st_dev
    except (OSError, UnicodeDecodeError):
        return False
    return _is_encrypted(sys / f"dev/block/{os.major(device)}:{os.minor(device)}")


def _is_encrypted(device: Path, depth: int = 0) -> bool:
    """Whether all that a block device holds is encrypted, or in memory."""
    if device.resolve().name.startswith("zram"):
        return _read(device / "backing_dev") in {"", "none"}
    if _read(device / "dm/uuid").startswith("CRYPT-"):
        return True
    below = sorted((device / "slaves").glob("*")) if depth < MAX_DEPTH else []
    return bool(below) and all(_is_encrypted(one, depth + 1) for one in below)


def _is_out_of_reach(proc: Path, sys: Path) -> bool:
    """Whether our control group, or one around it, may swap nothing."""
    for line in _read(proc / "self/cgroup").splitlines():
        number, _, path = line.partition("::")
        if number != "0":
            continue
        root = sys / "fs/cgroup"
        group = root / path.strip("/")
        for one in (group, *group.parents):
            if not one.is_relative_to(root):
                break
            if _read(one / "memory.swap.max") == "0":
                return True
    return False


def _read(path: Path) -> str:
    """What a file of the kernel says; empty if it is not there."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
