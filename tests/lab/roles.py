"""Which process of a daemon does what, wherever it was started."""

from collections.abc import Iterator
from pathlib import Path

IDLE_SOCKETS = 4
"Of a worker without legs, at most."


def descendants(pid: int) -> Iterator[int]:
    """Every living process below one."""
    queue = [pid]
    while queue:
        for path in Path(f"/proc/{queue.pop()}/task").glob("*/children"):
            try:
                below = [int(child) for child in path.read_text().split()]
            except OSError:
                continue
            yield from below
            queue += below


def roles(pid: int) -> dict[str, list[int]]:
    """Pids below `pid`: main, workers with legs, those that stand by, finishers."""
    found: dict[str, list[int]] = {
        role: [] for role in ("main", "worker", "spare", "finisher")
    }
    for one in descendants(pid):
        try:
            command = Path(f"/proc/{one}/cmdline").read_bytes()
            links = [str(fd.readlink()) for fd in Path(f"/proc/{one}/fd").iterdir()]
        except OSError:
            continue  # it is ending
        if b"\0agent.media.worker\0" in command:
            sockets = sum(link.startswith("socket:") for link in links)
            found["worker" if sockets > IDLE_SOCKETS else "spare"].append(one)
        elif b"\0agent\0run\0" in command:
            found["main"].append(one)
        elif b"spawn_main" in command:
            found["finisher"].append(one)
    return found
