"""Tools that make and mount file systems, which not every machine lets us."""

import shutil
import subprocess

import pytest


def run(*command: object) -> None:
    """Run a tool; skip the test where it cannot do its work."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.strip()}")
