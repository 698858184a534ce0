import os
import pty
import subprocess
import sys

SCRIPT = """
from agent.cli.working import Working
with Working("looking \\u2026") as working:
    for one in working.through(("first", "second")):
        print(one)
        working.tell("further")
print("end")
"""


def test_what_is_found_goes_where_it_was_sent() -> None:
    # A person looks at standard error, and standard output is a pipe.
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=its,
        env=environment,
        timeout=60,
        check=True,
    )
    os.close(its)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.stdout.decode().splitlines() == ["first", "second", "end"]
    assert "looking …" in shown
    assert "further" in shown
    assert "first" not in shown


def test_without_a_terminal_nothing_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, timeout=60, check=True
    )
    assert done.stdout.decode().splitlines() == ["first", "second", "end"]
    assert done.stderr == b""
