"""File systems that are, or become, read-only or have no inodes left."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.disk_tools import run
from tests.crash.test_full_disk import UNRECORDED, assert_sound
from tests.crash.test_kill import BOUND, SLACK, salvaged
from tests.lab.daemon import ROOT, Daemon
from tests.lab.parties import closed_row, parties, tone_seconds
from tests.patience import PATIENCE

pytestmark = pytest.mark.crash


class Ext4:
    """A small ext4 in a file, mounted; its journal can be made to give up."""

    def __init__(self, root: Path) -> None:
        self.image = root / "ext4.img"
        self.place = root / "ext4"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(48 << 20)
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self) -> None:
        run("mount", "-o", "loop", self.image, self.place)

    def abort(self) -> None:
        """As after an error of the disk: read-only at once, whoever has files open."""
        run("mount", "-o", "remount,abort", self.place)

    def repair(self) -> None:
        """Unmount once everybody has left it, check, and mount again."""
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(
            ["umount", self.place], check=False, capture_output=True, timeout=10
        ).returncode:
            # Workers of a killed daemon live some seconds longer.
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # It answers 1 where it has mended something.
        subprocess.run(
            ["e2fsck", "-fy", str(self.image)],
            check=False,
            capture_output=True,
            timeout=20,
        )
        self.mount()


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Ext4]:
    disk = Ext4(tmp_path)
    yield disk
    subprocess.run(["umount", "-l", disk.place], check=False, timeout=10)


def refused(daemon: Daemon) -> str:
    """What the daemon says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "run", "--config", daemon.config],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("used", [False, True])
def test_a_read_only_spool_refuses_the_start_and_says_why(
    daemon_at: Callable[..., Daemon], small_disk: Callable[[int], Path], *, used: bool
) -> None:
    disk = small_disk(12)
    daemon = daemon_at(spool=disk / "spool")
    if used:
        daemon.start()
        daemon.stop()
    run("mount", "-o", "remount,ro", disk)
    said = refused(daemon)
    assert f"the spool {disk / 'spool'} cannot be used: Read-only file system." in said
    assert "Check agent.spool" in said
    run("mount", "-o", "remount,rw", disk)
    daemon.start()
    daemon.stop()


async def test_a_spool_that_becomes_read_only_in_mid_call(
    daemon_at: Callable[..., Daemon], ext4: Ext4
) -> None:
    daemon = daemon_at(
        spool=ext4.place / "spool", route=UNRECORDED, recording="min_free_mb = 2"
    ).start()
    async with parties(daemon) as call:
        await call.talk(3.0)
        ext4.abort()
        await daemon.logged("recording_failed")
        await asyncio.sleep(0.3)
        assert not call.caller.ended.is_set()
        assert daemon.log("going_on_unrecorded")
        await call.hang_up()
        await daemon.logged("ended")
    # Neither the ledger nor the finisher can write: that is said, not swallowed.
    await daemon.logged("ledger_unwritable")
    async with parties(daemon) as call:
        await call.talk(0.3)
        await call.hang_up()
        await daemon.logged("ended", count=2)
    # The kernel may call such a file system writable still.
    assert daemon.log("spool_refused") or len(daemon.log("recording_failed")) == 2
    assert_sound(daemon)
    daemon.kill()
    ext4.repair()
    daemon.start()
    # What was durable by then is salvaged, and no more than a power cut takes is lost.
    manifest, left, right = salvaged(daemon)
    assert manifest.outcome == "partial"
    for samples, frequency in ((left, 1000), (right, 1700)):
        assert tone_seconds(samples, frequency) > 3.0 - 2 * BOUND - SLACK
    row = daemon.rows()[-1]
    assert (row.outcome, row.cause) == ("partial", "agent-died")
    daemon.stop()


@pytest.mark.parametrize("moment", ["before a call", "at its end"])
async def test_no_inodes_left(
    daemon_at: Callable[..., Daemon], small_disk: Callable[..., Path], moment: str
) -> None:
    disk = small_disk(12, "nr_inodes=200")
    daemon = daemon_at(
        spool=disk / "spool", route=UNRECORDED, recording="min_free_mb = 2"
    ).start()
    async with parties(daemon) as call:
        if moment == "before a call":
            taken = take_inodes(disk)
        await call.talk(0.6)
        if moment == "at its end":
            taken = take_inodes(disk)
        await call.hang_up()
        await daemon.logged("ended")
    if moment == "before a call":
        [refusal] = daemon.log("spool_refused")
        assert "inodes" in refusal["reason"]
        assert (await closed_row(daemon)).outcome == "unrecorded"
    else:
        await daemon.logged("finishing_failed")
        assert (await closed_row(daemon)).outcome == "recorded"
    shutil.rmtree(taken)
    if moment == "before a call":
        async with parties(daemon) as call:
            await call.talk(0.6)
            await call.hang_up()
    await daemon.logged("stored")
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "recorded"
    assert_sound(daemon)
    daemon.stop()


def take_inodes(disk: Path) -> Path:
    """Make files until no more can be made; all are in the directory returned."""
    place = disk / "ballast"
    place.mkdir()
    for number in range(10_000):
        try:
            os.close(os.open(place / str(number), os.O_CREAT | os.O_WRONLY))
        except OSError:
            return place
    raise AssertionError("the disk has inodes without end")
