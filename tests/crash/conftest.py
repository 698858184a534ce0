"""Fixtures for tests that break things."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import daemon, daemon_at

__all__ = ["daemon", "daemon_at", "small_disk"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes file systems of so many MiB; unmounts them at the end."""
    made: list[Path] = []

    def make(megabytes: int, *options: str) -> Path:
        path = tmp_path / f"disk{len(made)}"
        path.mkdir()
        mount = shutil.which("mount")
        if mount is None:
            pytest.skip("there is no mount command")
        chosen = ",".join([f"size={megabytes}m", "mode=700", *options])
        done = subprocess.run(
            [mount, "-t", "tmpfs", "-o", chosen, "tmpfs", path],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        made.append(path)
        return path

    yield make
    for path in made:
        subprocess.run(["umount", "-l", path], check=True, timeout=10)
