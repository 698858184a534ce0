import os
import select
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTS_ONE = """
import sys
from pathlib import Path
from tests.lab.process import Process
print(Process("peer", Path(sys.argv[1]), ["sleep", "600"]).pid, flush=True)
sys.stdin.read()
"""


def test_a_peer_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as tests:
        assert tests.stdout is not None
        peer = os.pidfd_open(int(tests.stdout.readline()))
        try:
            assert select.select([peer], [], [], 0) == ([], [], [])
            tests.send_signal(signal.SIGKILL)
            tests.wait()
            assert select.select([peer], [], [], 10) == ([peer], [], [])
        finally:
            os.close(peer)
