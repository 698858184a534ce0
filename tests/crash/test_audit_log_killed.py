"""A writer of an audit log killed in the middle, again and again."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from agent.archive.audit_verification import read_rows, verify_log
from agent.upload.backends.directory import DirectoryBackend
from tests.archive.logs import KEY

LIVES = 4


@pytest.mark.crash
@pytest.mark.beside
async def test_whenever_its_writer_is_killed_a_log_holds_what_was_told(
    tmp_path: Path,
) -> None:
    rng = random.Random(5)
    told: set[int] = set()
    for _ in range(LIVES):
        lines = life(tmp_path, rng.randrange(3, 300))
        assert not told & lines
        told |= lines
        backend = DirectoryBackend(tmp_path)
        report = await verify_log(backend, "gate", [KEY.public], {})
        assert report.findings == ()
        rows = [row async for row in read_rows(backend, "gate", [KEY.public])]
        assert told <= {row.sequence for row in rows}
    assert len(told) > 100


def life(folder: Path, rows: int) -> set[int]:
    """The numbers that a writer was told before it was killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.archive.writer", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(rows)]
        process.kill()
        lines += process.stdout.readlines()
    assert lines[0] == "0\n"
    return {int(line) for line in lines[1:] if line.endswith("\n")} - {0}
