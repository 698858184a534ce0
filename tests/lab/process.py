"""A peer's process: started, probed until it is ready, ended by its own id."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_TAIL = 20_000
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"Before a command: whatever ends the tests, without a word too, ends it."
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starts-peers")
"Ends with the tests: to a process, the end of the thread that started it is theirs."


def started(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """`subprocess.Popen` of what does not outlive the tests."""
    start: Any = subprocess.Popen
    starting = _STARTER.submit(start, [*_DIES_WITH_US, *command], **options)
    begun: subprocess.Popen[bytes] = starting.result()
    return begun


class Process:
    """One program of a peer, with children of its own at most; its output is kept."""

    def __init__(
        self, name: str, folder: Path, command: Sequence[str], **environment: str
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = started(
                command,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
                | environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def ready(self, probe: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait until a probe says yes."""
        deadline = time.monotonic() + seconds
        while not probe():
            assert self._process.poll() is None, f"{self.name} ended:\n{self.said}"
            assert time.monotonic() < deadline, f"{self.name} is not ready"
            await asyncio.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, how: signal.Signals) -> None:
        """Stop it, let it go on, kill it: it and its children."""
        os.killpg(self._process.pid, how)

    def type(self, line: str) -> None:
        """Type a line at its console."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    @property
    def said(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-_TAIL:]

    def stop(self) -> None:
        """End it and its children, if need be the hard way."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=2)
                break
        # Children that outlived their parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


@contextlib.contextmanager
def running(
    name: str, folder: Path, command: Sequence[str], **environment: str
) -> Iterator[Process]:
    """A peer's process; what it said is told with whatever goes wrong meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    process = Process(name, folder, command, **environment)
    try:
        yield process
    except BaseException as error:
        error.add_note(f"{name} said:\n{process.said}")
        raise
    finally:
        process.stop()


def bound(port: int, kind: str = "udp") -> bool:
    """Whether somebody holds a port; `kind` is udp, or tcp, where he must listen."""
    lines = Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    wanted = f":{port:04X}"
    fields = (line.split() for line in lines)
    return any(
        f[1].endswith(wanted) and (kind == "udp" or f[3] == "0A") for f in fields
    )
