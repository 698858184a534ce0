import os
import resource
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from agent.common.dumps import DUMPABLE

CRASH = """
import os, resource, signal, sys
from agent.common.dumps import forbid_dumps
key = sys.stdin.read()
if sys.argv[1] == "without-limit":
    # As if core_pattern were a pipe, to which the limit says nothing.
    resource.setrlimit = lambda *_: None
forbid_dumps()
os.kill(os.getpid(), signal.SIGSEGV)
"""


def crash(directory: Path, how: str, environment: dict[str, str]) -> bool:
    """A process that holds a key dies of SIGSEGV; whether the key is on the disk."""
    key = secrets.token_hex(16)
    unlimited = resource.RLIM_INFINITY
    died = subprocess.run(
        [sys.executable, "-c", CRASH, how],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        input=key.encode(),
        check=False,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (unlimited, unlimited)
        ),
    )
    assert died.returncode == -11
    return any(key.encode() in path.read_bytes() for path in directory.iterdir())


@pytest.fixture
def cores(tmp_path: Path) -> Path:
    """Where the kernel writes core files of whoever stands there."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if not pattern or pattern[0] in "|/" or hard != resource.RLIM_INFINITY:
        pytest.skip("this machine writes no core files, or writes them elsewhere")
    return tmp_path


@pytest.mark.parametrize("how", ["", "without-limit"])
def test_no_core_file_holds_a_key(cores: Path, how: str) -> None:
    assert not crash(cores, how, {DUMPABLE: ""})
    assert list(cores.iterdir()) == []


def test_the_test_would_find_it(cores: Path) -> None:
    assert crash(cores, "", {DUMPABLE: "1"})
