"""CPU and memory of a daemon and all its processes, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.lab.daemon import Daemon

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """One sample."""

    cpu: float
    "Seconds, user and system, of living processes and their dead children."
    rss: float
    "Megabytes, proportional set size: shared pages counted once."
    by_role: dict[str, float]


def usage(daemon: Daemon) -> Usage:
    """What the daemon's process tree has used until now."""
    assert daemon.process is not None
    total, rss, roles = 0.0, 0.0, {}
    for pid in [daemon.process.pid, *daemon.children()]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            memory = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        ticks = sum(int(fields[i]) for i in (11, 12, 13, 14))
        total += ticks / _TICKS
        pss = next(line for line in memory.splitlines() if line.startswith("Pss:"))
        rss += int(pss.split()[1]) / 1024
        role = (
            "worker"
            if b"agent.media.worker" in command
            else "main"
            if pid == daemon.process.pid
            else "finisher"
        )
        roles[role] = roles.get(role, 0.0) + ticks / _TICKS
    return Usage(total, rss, roles)


def machine() -> str:
    """What this ran on, in a line."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    return f"{os.cpu_count()} cores, {model}, Linux {os.uname().release}"
