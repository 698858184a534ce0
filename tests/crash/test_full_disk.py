"""A full disk and storage that is away: calls go by policy, nothing crashes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.parties import channels, closed_row, parties, tone_seconds, until

pytestmark = pytest.mark.crash

DISK_MB = 12
ROOM = "min_free_mb = 2"
REFUSE = 'on_recording_failure = "refuse"'
UNRECORDED = 'on_recording_failure = "unrecorded"'


def fill(disk: Path) -> Path:
    """Take every free byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            return ballast
    raise AssertionError("the disk has no end")


def assert_sound(daemon: Daemon) -> None:
    """It runs, and nothing in its log is a fault of its own."""
    assert daemon.process is not None
    assert daemon.process.poll() is None
    bad = {"task_failed", "call_failed", "call_stuck", "part_failed"}
    assert [e for e in daemon.log() if e["event"] in bad] == []


@pytest.fixture
def full_daemon(
    daemon_at: Callable[..., Daemon], small_disk: Callable[[int], Path]
) -> Callable[[str], tuple[Daemon, Path]]:
    def make(policy: str) -> tuple[Daemon, Path]:
        disk = small_disk(DISK_MB)
        daemon = daemon_at(spool=disk / "spool", route=policy, recording=ROOM)
        return daemon.start(), disk

    return make


async def _recorded(daemon: Daemon) -> None:
    """One more call, which is recorded."""
    before = len(daemon.log("stored"))
    async with parties(daemon) as call:
        await call.talk(0.6)
        await call.hang_up()
        await daemon.logged("stored", count=before + 1)
    assert (await closed_row(daemon)).outcome == "recorded"


async def test_refused_on_a_full_disk(
    full_daemon: Callable[[str], tuple[Daemon, Path]],
) -> None:
    daemon, disk = full_daemon(REFUSE)
    ballast = fill(disk)
    async with parties(daemon) as call:
        await call.ring()
        await until(call.caller.ended)
        assert call.caller.status == 503
        await daemon.logged("ended")
    assert daemon.log("spool_refused")
    row = await closed_row(daemon)
    assert row.outcome == "blocked"
    ballast.unlink()
    await _recorded(daemon)
    assert_sound(daemon)


async def test_unrecorded_on_a_full_disk(
    full_daemon: Callable[[str], tuple[Daemon, Path]],
) -> None:
    daemon, disk = full_daemon(UNRECORDED)
    ballast = fill(disk)
    async with parties(daemon) as call:
        await call.talk(0.5)
        assert not call.officer.ended.is_set()
        await call.hang_up()
        await daemon.logged("ended")
    assert daemon.log("spool_refused")
    assert daemon.log("going_on_unrecorded")
    row = await closed_row(daemon)
    assert (row.outcome, row.cause) == ("unrecorded", "caller-hangup")
    assert daemon.stored(".age") == {}
    ballast.unlink()
    await _recorded(daemon)
    assert_sound(daemon)


@pytest.mark.parametrize("policy", [REFUSE, UNRECORDED])
async def test_a_disk_that_fills_in_mid_call(
    full_daemon: Callable[[str], tuple[Daemon, Path]], policy: str
) -> None:
    daemon, disk = full_daemon(policy)
    async with parties(daemon) as call:
        await call.talk(2.0)
        ballast = fill(disk)
        await daemon.logged("recording_failed")
        if policy == REFUSE:
            await until(call.caller.ended)
            await until(call.officer.ended)
        else:
            await asyncio.sleep(0.5)
            assert not call.caller.ended.is_set()
            assert daemon.log("going_on_unrecorded")
            await call.hang_up()
        await daemon.logged("ended")
    row = await closed_row(daemon)
    assert row.outcome == "partial"
    ballast.unlink()
    # What was on disk before it filled is stored.
    await daemon.logged("stored")
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "partial"
    left, _ = channels(recording.wav)
    assert tone_seconds(left, 1000) > 0.6
    await _recorded(daemon)
    assert_sound(daemon)


async def test_a_spool_that_may_not_be_written(
    full_daemon: Callable[[str], tuple[Daemon, Path]],
) -> None:
    daemon, _ = full_daemon(UNRECORDED)
    # Root writes where it likes, so permissions say nothing: no directory does.
    journal = daemon.spool / "journal"
    aside = daemon.spool / "aside"
    journal.rename(aside)
    async with parties(daemon) as call:
        await call.talk(0.3)
        assert not call.officer.ended.is_set()
        await call.hang_up()
        await daemon.logged("ended")
    assert daemon.log("spool_refused")
    assert (await closed_row(daemon)).outcome == "unrecorded"
    aside.rename(journal)
    await _recorded(daemon)
    assert_sound(daemon)


async def test_storage_that_is_away_for_several_calls(daemon: Daemon) -> None:
    storage, away = daemon.root / "storage", daemon.root / "away"
    storage.rename(away)
    storage.write_text("in the way")
    for number in range(1, 4):
        async with parties(daemon) as call:
            await call.talk(0.4)
            await call.hang_up()
            await daemon.logged("sealed", count=number)
    await daemon.logged("storing_failed")
    assert daemon.log("stored") == []
    assert {row.outcome for row in daemon.rows()} == {"recorded"}
    assert len(list((daemon.spool / "sealed").iterdir())) == 3
    storage.unlink()
    away.rename(storage)
    await daemon.logged("stored", count=3)
    await daemon.logged("storage_back")
    daemon.stop()
    assert len(daemon.log("stored")) == 3
    assert len(list(daemon.recordings())) == 3
    names = [path.name for path in storage.rglob("*.age")]
    assert len(names) == len(set(names)) == 9
    assert list((daemon.spool / "sealed").iterdir()) == []
    assert list((daemon.spool / "journal").iterdir()) == []
