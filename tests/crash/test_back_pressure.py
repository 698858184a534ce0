"""A slow disk, finishers that stand still, a spool that is filling, a long queue."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.service.commands import StatusRequest
from agent.service.control import ask
from agent.service.host_status import HostStatus
from tests.bench.load import Load
from tests.bench.media import compare_all
from tests.integration.test_emergency import assert_gets_through
from tests.lab.daemon import Daemon
from tests.lab.parties import closed_row, parties, until
from tests.lab.slow_disk import SlowDisk
from tests.soak import backlog
from tests.soak.loads import new_load

pytestmark = pytest.mark.crash

DISK_MB = 24
REFUSE = 'on_recording_failure = "refuse"'
WAITING = 500


def host(daemon: Daemon) -> HostStatus:
    """What `status` tells of the host."""
    told = ask(daemon.spool / "run", StatusRequest()).host
    assert told is not None
    return told


def assert_nobody_noticed(load: Load) -> None:
    """No packet was lost, and none was held up for as long as a write takes."""
    assert [call.failed for call in load.calls if call.failed or not call.talked] == []
    lost, sent = backlog.lost_packets(load)
    assert (lost, sent > 90 * len(load.calls)) == (0, True)
    delays = sorted(load.delays)
    assert delays[int(0.99 * len(delays))] < 0.25


def test_a_slow_disk_delays_neither_calls_nor_what_is_recorded(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at()
    disk = SlowDisk(daemon.root, daemon.spool, write=0.3, sync=1.0)
    daemon.start(**disk.environment)
    disk.begin()
    load = new_load(daemon, 5, 5.0, keep_delays=True)
    load.run(limit=40)
    disk.end()
    assert_nobody_noticed(load)
    daemon.wait_for("stored", count=5, timeout=60)
    compared, found, expected = compare_all(load, daemon.recordings(), [])
    load.close()
    assert (compared, found) == (5, expected)
    assert {row.outcome for row in daemon.rows()} == {"recorded"}


def test_finishers_that_stand_still_hold_up_no_call(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at().start()
    [finisher] = daemon.processes()["finisher"]
    os.kill(finisher, signal.SIGSTOP)
    load = new_load(daemon, 12, 1.0, keep_delays=True)
    load.run(limit=30)
    assert_nobody_noticed(load)
    load.close()
    daemon.wait_for("ended", count=12)
    assert host(daemon).to_finish == 12
    assert daemon.log("sealed") == []
    os.kill(finisher, signal.SIGCONT)
    daemon.wait_for("stored", count=12, timeout=60)
    # The oldest came first.
    begun = [entry["call_id"] for entry in daemon.log("recording_begun")]
    assert [entry["call_id"] for entry in daemon.log("sealed")] == begun
    assert {row.outcome for row in daemon.rows()} == {"recorded"}


@contextlib.contextmanager
def filled(disk: Path, megabytes: int) -> Iterator[None]:
    """So much of a disk taken by others."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(megabytes << 20))
    yield
    ballast.unlink()


async def test_above_the_high_water_mark_the_route_decides_and_nothing_is_deleted(
    daemon_at: Callable[..., Daemon], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(DISK_MB)
    daemon = daemon_at(
        spool=disk / "spool",
        route=REFUSE,
        recording="min_free_mb = 1",
        high_water=0.5,
    ).start()
    storage, away = daemon.root / "storage", daemon.root / "away"
    storage.rename(away)
    storage.write_text("in the way")
    async with parties(daemon) as call:
        await call.talk(0.5)
        await call.hang_up()
        await daemon.logged("sealed")
    with filled(disk, DISK_MB * 2 // 3):
        async with parties(daemon) as call:
            await call.ring()
            await until(call.caller.ended)
            assert call.caller.status == 503
            await daemon.logged("ended", count=2)
        assert (await closed_row(daemon)).outcome == "blocked"
        told = await asyncio.to_thread(host, daemon)
        assert (told.spool_alarm, told.to_store, told.storage_away) == (True, 1, True)
    async with parties(daemon) as call:
        await call.talk(0.5)
        await call.hang_up()
        await daemon.logged("sealed", count=2)
    events = [entry["event"] for entry in daemon.log()]
    assert events.count("spool_high_water") == 1
    assert events.count("spool_below_high_water") == 1
    assert len(list((daemon.spool / "sealed").iterdir())) == 2
    storage.unlink()
    away.rename(storage)
    await daemon.logged("stored", count=2)


async def test_an_emergency_call_knows_no_mark(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(route=REFUSE, outbound=REFUSE, high_water=0.0001).start()
    await daemon.logged("spool_high_water")
    await assert_gets_through(daemon)


def test_a_long_queue_is_stored_once_and_no_call_notices(
    daemon_at: Callable[..., Daemon],
) -> None:
    result = backlog.campaign(
        daemon_at(), recordings=WAITING, calls=8, talk=2.0, away=3.0
    )
    assert (result.missing, result.doubles, result.damaged) == (0, 0, 0)
    assert (result.failed, result.lost) == (0, 0)
    assert result.frames[0] == result.frames[1] > 0
    assert result.start_cpu < 0.5
    assert result.rss["storage away"] - result.rss["at start"] < 8
