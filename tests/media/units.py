"""What a service manager does: workers as units of their own, started again."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


class Units:
    """Workers at the sockets of a runtime directory."""

    def __init__(self, directory: Path, count: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.processes: dict[Path, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._keepers = []
        for number in range(count):
            path = directory / f"media-{number}.sock"
            self._start(path)
            keeper = threading.Thread(target=self._keep, args=(path,))
            keeper.start()
            self._keepers.append(keeper)

    def _start(self, path: Path) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self.processes[path] = subprocess.Popen(
                    [sys.executable, "-m", "agent.media.worker", "--listen", str(path)]
                )

    def _keep(self, path: Path) -> None:
        while not self._stopping.is_set():
            self.processes[path].wait()
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
            process.wait(0)


@contextlib.contextmanager
def units(directory: Path, count: int) -> Iterator[Units]:
    running = Units(directory, count)
    try:
        yield running
    finally:
        running.stop()
