"""Calls to 112 get through, whatever is broken; unannounced and unrecorded."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from agent.cli.phone import Phone
from agent.formats.codecs.g711 import encode_alaw
from tests.crash.conftest import small_disk
from tests.crash.test_full_disk import fill
from tests.lab.daemon import Daemon
from tests.lab.parties import audio_of, closed_row, sine, tone_frames, tone_phone, until

__all__ = ["small_disk"]

pytestmark = [pytest.mark.integration, pytest.mark.crash]

NOTICE = sine(600, 0.4)


@contextlib.asynccontextmanager
async def emergency(daemon: Daemon) -> AsyncIterator[tuple[Phone, Phone]]:
    """An officer's phone and the emergency centre behind the trunk."""
    officer = tone_phone(daemon.officers[0], "201", 1700)
    centre = tone_phone(daemon.caller, "112", 1000)
    centre.answer_after = 0.1
    await officer.start()
    await centre.start()
    try:
        yield officer, centre
    finally:
        await officer.close()
        await centre.close()
        # A transport lets its port go in the loop's next turn.
        await asyncio.sleep(0.01)


async def assert_gets_through(daemon: Daemon, *, direct: bool = False) -> None:
    """One call to 112: both hear each other, nobody hears or keeps anything else."""
    before = len(daemon.log("ended"))
    async with emergency(daemon) as (officer, centre):
        await officer.call(daemon.number("112"))
        await until(officer.connected, 8)
        await until(centre.connected, 8)
        officer.speak()
        centre.speak()
        await asyncio.sleep(1.0)
        assert officer.audio is not None
        assert centre.audio is not None
        if direct:
            assert officer.audio.remote.port == centre.rtp_port
            assert centre.audio.remote.port == officer.rtp_port
        else:
            assert 40000 <= officer.audio.remote.port < 48000
        officer.hang_up()
        await until(centre.ended)
        ended = await daemon.logged("ended", count=before + 1)
        for phone, other in ((officer, 1000), (centre, 1700)):
            payloads = [h.packet.payload for h in phone.heard]
            assert tone_frames(payloads, other) > 35
            assert tone_frames(payloads, 600) == 0
            assert encode_alaw(NOTICE)[:160] not in audio_of(phone)
    assert ended["outcome"] == "exempt"
    assert daemon.log("recording_begun") == []
    assert daemon.log("notice_played") == []
    assert daemon.stored(".age") == {}
    assert daemon.process is not None
    assert daemon.process.poll() is None


async def kill_workers(daemon: Daemon) -> None:
    """Kill every worker as it comes, until the daemon gives up for a while."""
    quiet = 0
    async with asyncio.timeout(20):
        while quiet < 15:
            workers = daemon.media_workers()
            quiet = 0 if workers else quiet + 1
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def storage_down(daemon: Daemon) -> Iterator[None]:
    """A file where the storage's directory should be."""
    storage, away = daemon.root / "storage", daemon.root / "away"
    storage.rename(away)
    storage.write_text("in the way")
    try:
        yield
    finally:
        storage.unlink()
        away.rename(storage)


async def test_when_all_is_well(daemon_at: Callable[..., Daemon]) -> None:
    daemon = daemon_at(notice=NOTICE).start()
    await assert_gets_through(daemon)
    row = await closed_row(daemon)
    assert (row.outcome, row.cause) == ("exempt", "officer-hangup")


async def test_with_a_full_disk(
    daemon_at: Callable[..., Daemon], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(8)
    daemon = daemon_at(notice=NOTICE, spool=disk / "spool").start()
    fill(disk)
    await assert_gets_through(daemon)
    assert (await closed_row(daemon)).outcome == "exempt"


async def test_with_dead_media_workers(daemon_at: Callable[..., Daemon]) -> None:
    daemon = daemon_at(notice=NOTICE).start()
    await kill_workers(daemon)
    await assert_gets_through(daemon, direct=True)
    assert (await closed_row(daemon)).outcome == "exempt"
    # After a while they are tried again, and the next call is relayed.
    await daemon.logged("media_worker_ready", timeout=25)
    await assert_gets_through(daemon)


async def test_with_storage_down(daemon_at: Callable[..., Daemon]) -> None:
    daemon = daemon_at(notice=NOTICE).start()
    with storage_down(daemon):
        await assert_gets_through(daemon)


async def test_with_all_of_it_at_once(
    daemon_at: Callable[..., Daemon], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(8)
    refuse = 'on_recording_failure = "refuse"'
    daemon = daemon_at(notice=NOTICE, spool=disk / "spool", outbound=refuse).start()
    with storage_down(daemon):
        fill(disk)
        await kill_workers(daemon)
        await assert_gets_through(daemon, direct=True)
    assert (await closed_row(daemon)).outcome == "exempt"
