"""Fixtures for tests that break things."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.disk_tools import run
from tests.integration.conftest import daemon, daemon_at

__all__ = ["daemon", "daemon_at", "small_disk"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes file systems of so many MiB; unmounts them at the end."""
    made: list[Path] = []

    def make(megabytes: int, *options: str) -> Path:
        path = tmp_path / f"disk{len(made)}"
        path.mkdir()
        chosen = ",".join([f"size={megabytes}m", "mode=700", *options])
        run("mount", "-t", "tmpfs", "-o", chosen, "tmpfs", path)
        made.append(path)
        return path

    yield make
    for path in made:
        subprocess.run(["umount", "-l", path], check=True, timeout=10)
