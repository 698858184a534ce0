import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from agent.cli import top
from agent.cli.top_frame import Scene
from agent.service.commands import Reply, Request, StatusRequest
from agent.service.control import ControlError
from tests.cli.conftest import DiskSite
from tests.cli.prepared import CALLS, HOST, SCENE


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Request]]:
    asked: list[tuple[Path, Request]] = []

    def ask(directory: Path, request: Request) -> Reply:
        asked.append((directory, request))
        return Reply(calls=CALLS, host=HOST)

    monkeypatch.setattr(top, "ask", ask)
    return asked


def test_one_frame_is_printed(
    asked: list[tuple[Path, Request]],
    disk_site: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk_site.write()
    assert run("top", "-c", disk_site.config, "--once") == 0
    assert asked == [(disk_site.root / "spool" / "run", StatusRequest())]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("recording-agent test   6 calls, 3 recorded")


@pytest.mark.parametrize("refusal", ["away", "refused"])
def test_a_daemon_that_does_not_answer(
    refusal: str,
    disk_site: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(directory: Path, request: Request) -> Reply:
        if refusal == "refused":
            return Reply(error="Only the daemon's user and root may ask.")
        raise ControlError("The daemon cannot be asked: no socket.")

    disk_site.write()
    monkeypatch.setattr(top, "ask", ask)
    assert run("top", "-c", disk_site.config, "--once") == 1
    assert "does not answer" in capsys.readouterr().out


def test_keys_turn_pages_and_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(top, "monotonic", lambda: now[0])
    looks: list[Scene] = []
    waits: list[float] = []
    pressed = iter(["n", "n", "p", "", "x", "q"])

    def scene() -> Scene:
        looks.append(SCENE)
        return SCENE

    def key(seconds: float) -> str:
        waits.append(seconds)
        now[0] += 0.5
        return next(pressed)

    with Path(os.devnull).open("w") as nowhere:
        console = Console(file=nowhere, force_terminal=True, width=80, height=14)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            top.watch(scene, live, key, 2.0)
    assert waits == [2.0, 1.5, 1.0, 0.5, 2.0, 1.5]
    assert len(looks) == 2


@pytest.fixture
def terminal(disk_site: DiskSite) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """`top` in a terminal of its own, 80 by 24; no daemon answers it."""
    disk_site.write()
    ours, its = pty.openpty()
    resize(its, 24, 80)
    command = [sys.executable, "-m", "agent", "top", "-c", str(disk_site.config)]
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        command,
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment,
        start_new_session=True,
    )
    os.close(its)
    yield ours, process
    if process.poll() is None:
        process.kill()
    process.wait()
    os.close(ours)


def resize(terminal: int, lines: int, columns: int) -> None:
    size = struct.pack("HHHH", lines, columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)


def read_until(terminal: int, words: bytes) -> bytes:
    shown = b""
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, f"nothing more within a minute, after {shown!r}"
        shown += os.read(terminal, 65536)
    return shown


def test_on_a_terminal_it_follows_its_size_and_q_ends_it(
    terminal: tuple[int, "subprocess.Popen[bytes]"],
) -> None:
    ours, process = terminal
    shown = read_until(ours, b"q quits")
    assert b"\x1b[?1049h" in shown  # a screen of its own: what was there comes back
    assert b"does not answer" in shown
    resize(ours, 10, 60)
    process.send_signal(signal.SIGWINCH)
    again = read_until(ours, b"q quits")
    assert again.count(b"\n") <= 10
    os.write(ours, b"q")
    read_until(ours, b"\x1b[?1049l")
    assert process.wait(30) == 0
