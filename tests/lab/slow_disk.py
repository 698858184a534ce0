"""A disk whose every write and sync takes long, for all processes of a daemon.

Python imports `sitecustomize` before anything else, in main, workers and finishers
alike: there `os.write`, `os.fsync` and `os.fdatasync` of what lies in the spool are
made slow, as long as a file stands beside it.
"""

from pathlib import Path

_SITECUSTOMIZE = """
import os, time

def slow(act, seconds):
    def act_slowly(fd, *rest):
        if os.path.exists({switch!r}):
            if os.readlink(f"/proc/self/fd/{{fd}}").startswith({spool!r}):
                time.sleep(seconds)
        return act(fd, *rest)
    return act_slowly

os.write = slow(os.write, {write!r})
os.fsync = slow(os.fsync, {sync!r})
os.fdatasync = slow(os.fdatasync, {sync!r})
"""


class SlowDisk:
    """Slow from `begin` to `end`; `environment` is what the daemon starts with."""

    def __init__(self, root: Path, spool: Path, *, write: float, sync: float) -> None:
        """`write` and `sync` are the seconds that each takes."""
        folder = root / "slow-disk"
        folder.mkdir()
        self._switch = folder / "on"
        text = _SITECUSTOMIZE.format(
            switch=str(self._switch), spool=str(spool), write=write, sync=sync
        )
        (folder / "sitecustomize.py").write_text(text)
        self.environment = {"PYTHONPATH": str(folder)}

    def begin(self) -> None:
        self._switch.touch()

    def end(self) -> None:
        self._switch.unlink()
