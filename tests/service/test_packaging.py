"""Making an installation's files takes nothing from the clone it is made in."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab.daemon import ROOT

# It does all but pip's work.
PYTHON = """#!/bin/sh
[ "$1" = -m ] && exit 1
exec {python} "$@"
"""


def test_a_pip_that_fails_ends_it_and_the_clone_stays_whole(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "scripts/packaging", clone / "scripts/packaging")
    shutil.copy(ROOT / "pyproject.toml", clone)
    for folder in ("tests", "bin"):
        (clone / folder).mkdir()
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    # As scripts call it: in a condition, where bash goes on after what fails.
    script = (
        ". scripts/packaging/tree\n"
        f"if fill_dependencies {tmp_path}/kept 3.11 {python}; then exit 9; fi"
    )
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=clone, check=False, timeout=30
    )
    assert ran.returncode == 0
    assert (clone / "tests").is_dir()
    assert (clone / "bin").is_dir()
    assert not (tmp_path / "kept").exists()
