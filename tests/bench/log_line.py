"""What a line of the log costs: `python -m tests.bench.log_line`.

To a file, to a pipe that somebody reads, to the journal's socket, to one that nobody
reads, and when it is held back as a repeat or below the level. Microseconds a line.
"""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from agent.common import logs, system_journal

LINES = 20_000


def microseconds(act: Callable[[int], None]) -> float:
    """CPU of this thread, the best of five rounds, a line."""
    best = float("inf")
    for _ in range(5):
        begun = time.thread_time()
        for number in range(LINES):
            act(number)
        best = min(best, time.thread_time() - begun)
    return best / LINES * 1e6


def call_begun(number: int) -> None:
    structlog.get_logger().bind(call_id=f"01KBXY{number:010}").info(
        "call_begun", route="in", direction="inbound", exempt=False, caller="040***67"
    )


def repeated(_number: int) -> None:
    structlog.get_logger().error("peer_down", peer="trunk")


def to_file(folder: Path) -> float:
    with (folder / "log").open("w") as stream:
        logs.configure("info", stream)
        return microseconds(call_begun)


def to_pipe() -> float:
    ours, theirs = os.pipe()

    def read() -> None:
        while os.read(ours, 1 << 16):
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w") as stream:
        logs.configure("info", stream)
        cost = microseconds(call_begun)
    reader.join()
    os.close(ours)
    return cost


def to_journal(folder: Path, *, read: bool) -> float:
    """To a socket as journald's, in the place of the real one."""
    path = folder / f"socket-{read}"
    journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journald.bind(str(path))
    ended = threading.Event()

    def drain() -> None:
        journald.settimeout(0.2)
        while not ended.is_set():
            try:
                journald.recv(1 << 20)
            except TimeoutError:
                continue

    reader = threading.Thread(target=drain)
    if read:
        reader.start()
    system_journal.SystemJournal.__init__.__defaults__ = (str(path),)
    with (folder / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        os.environ[system_journal.STREAM] = f"{status.st_dev}:{status.st_ino}"
        logs.configure("info", stream)
        del os.environ[system_journal.STREAM]
        cost = microseconds(call_begun)
    ended.set()
    if read:
        reader.join()
    journald.close()
    return cost


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"file                    {to_file(folder):6.1f}")
        print(f"held back as a repeat   {microseconds(repeated):6.1f}")
        logs.set_level("error")
        print(f"below the level         {microseconds(call_begun):6.1f}")
        print(f"pipe, read              {to_pipe():6.1f}")
        print(f"journal, read           {to_journal(folder, read=True):6.1f}")
        print(f"journal, stands still   {to_journal(folder, read=False):6.1f}")
        print(f"dropped                 {logs.dropped():6}")


if __name__ == "__main__":
    main()
