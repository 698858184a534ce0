"""What a service manager does: workers as units of their own, started again."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from agent.media.control import FOR_GOOD

FROM_ELSEWHERE = """
import sys
sys.prefix = sys.argv.pop(1)
from agent.media.worker import main
main()
"""


class Units:
    """Workers at the sockets of a runtime directory, `count` from a number on.

    `prefix` is the installation that they believe to be of.
    """

    def __init__(
        self,
        directory: Path,
        count: int,
        *,
        first: int = 0,
        prefix: Path | None = None,
    ) -> None:
        self._program = ["-m", "agent.media.worker"]
        if prefix is not None:
            self._program = ["-c", FROM_ELSEWHERE, str(prefix)]
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.processes: dict[Path, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._keepers = []
        for number in range(first, first + count):
            path = directory / f"media-{number}.sock"
            self._start(path)
            keeper = threading.Thread(target=self._keep, args=(path,))
            keeper.start()
            self._keepers.append(keeper)

    def _start(self, path: Path) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self.processes[path] = subprocess.Popen(
                    [sys.executable, *self._program, "--listen", str(path)]
                )

    def _keep(self, path: Path) -> None:
        while not self._stopping.is_set():
            # As its unit has it (RestartPreventExitStatus=).
            if self.processes[path].wait() == FOR_GOOD:
                return
            self._start(path)

    def pids(self) -> set[int]:
        return {process.pid for process in self.processes.values()}

    def stop(self) -> None:
        """SIGTERM to all of them."""
        self._stopping.set()
        with self._lock:
            for process in self.processes.values():
                process.terminate()
        for keeper in self._keepers:
            keeper.join(20)
        for process in self.processes.values():
            # One that was started a moment before has nobody else to wait for it.
            process.wait(20)


@contextlib.contextmanager
def units(
    directory: Path, count: int, *, first: int = 0, prefix: Path | None = None
) -> Iterator[Units]:
    running = Units(directory, count, first=first, prefix=prefix)
    try:
        yield running
    finally:
        running.stop()
