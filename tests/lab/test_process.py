import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTS_ONE = """
import sys
from pathlib import Path
from threading import Thread
from tests.lab.process import Process

def start():
    print(Process("peer", Path(sys.argv[1]), ["sleep", "600"]).pid, flush=True)

if sys.argv[2] == "thread":
    thread = Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("by", ["tests", "thread"])
def test_a_peer_ends_with_tests_that_are_killed(tmp_path: Path, by: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE, str(tmp_path), by],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as tests:
        assert tests.stdout is not None
        peer = os.pidfd_open(int(tests.stdout.readline()))
        try:
            assert tests.stdout.readline() == b"started\n"
            # Who started it has ended, where that was a thread.
            assert select.select([peer], [], [], 0.2) == ([], [], [])
            tests.send_signal(signal.SIGKILL)
            tests.wait()
            assert select.select([peer], [], [], 10) == ([peer], [], [])
        finally:
            os.close(peer)
