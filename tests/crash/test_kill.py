"""kill -9 in each phase of a call, then a restart: what is lost, and what is said."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.formats.manifest import Manifest, parse_manifest
from tests.lab.daemon import ROOT, Daemon
from tests.lab.parties import (
    Parties,
    channels,
    closed_row,
    parties,
    sine,
    tone_frames,
    tone_seconds,
    until,
)
from tests.lab.sealed import chain, signing
from tests.patience import PATIENCE

pytestmark = pytest.mark.crash

BOUND = 1.0
"Seconds of audio a killed host may lose, beside what a busy machine adds."
SLACK = 0.4
ORPHAN_SECONDS = 5.0
"For which workers wait for the next main process."
CLOSING_SECONDS = 20.0
"In which a process that is to end has done so, on whatever busy machine."


@pytest.fixture
def daemon(daemon_at: Callable[..., Daemon]) -> Daemon:
    """One that signs what it stores, started."""
    return signing(daemon_at()).start()


def open_with_key(
    daemon: Daemon, recording_id: str, key: str = "quality"
) -> tuple[bytes, Manifest]:
    """What `recording-agent open` makes of a recording."""
    out = daemon.root / f"opened-{key}"
    identity = daemon.root / f"{key}.txt"
    command = ["open", recording_id, "-i", identity, "-c", daemon.config, "-o", out]
    subprocess.run(
        [sys.executable, "-m", "agent", *command],
        cwd=ROOT,
        check=True,
        timeout=30,
        capture_output=True,
    )
    manifest = parse_manifest((out / f"{recording_id}.json").read_bytes())
    return (out / f"{recording_id}.wav").read_bytes(), manifest


def journals(daemon: Daemon) -> dict[str, Path]:
    """Stored journals by recording."""
    return {
        name.partition(".")[0]: path for name, path in daemon.stored(".journal").items()
    }


def salvaged(daemon: Daemon) -> tuple[Manifest, np.ndarray, np.ndarray]:
    """What quality staff open of the only journal that is stored."""
    daemon.wait_for("stored")
    [recording_id] = journals(daemon)
    wav, manifest = open_with_key(daemon, recording_id)
    return manifest, *channels(wav)


def assert_nothing_is_left(daemon: Daemon) -> None:
    for directory in ("journal", "keys", "sealed", "work", "quarantine"):
        assert list((daemon.spool / directory).iterdir()) == [], directory


async def gone(pids: list[int]) -> None:
    """Wait until processes have ended; zombies have."""
    deadline = time.monotonic() + ORPHAN_SECONDS + CLOSING_SECONDS
    while alive := [pid for pid in pids if _lives(pid)]:
        assert time.monotonic() < deadline, f"{alive} still live"
        await asyncio.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def _in_the_notice(call: Parties) -> None:
    await call.ring()
    await until(call.caller.connected)
    await asyncio.sleep(0.3)


async def _while_ringing(call: Parties) -> None:
    call.officer.answer_after = None
    await call.ring()
    await call.daemon.logged("notice_played")
    await asyncio.sleep(0.2)


@pytest.mark.parametrize("reach", [_in_the_notice, _while_ringing])
async def test_killed_before_the_answer(
    daemon_at: Callable[..., Daemon], reach: Callable[[Parties], object]
) -> None:
    daemon = daemon_at(notice=sine(600, 0.4 if reach is _while_ringing else 3)).start()
    async with parties(daemon) as call:
        await reach(call)
        [row] = daemon.rows()
        assert row.outcome is None or row.outcome == ""
        before = daemon.children()
        daemon.kill()
    await gone(before)
    daemon.start()
    [row] = daemon.rows()
    assert (row.outcome, row.cause) == ("failed", "agent-died")
    assert daemon.stored(".age") == {}
    assert_nothing_is_left(daemon)
    daemon.stop()


async def test_killed_just_after_the_answer(daemon: Daemon) -> None:
    async with parties(daemon) as call:
        await call.ring()
        await until(call.officer.connected)
        daemon.kill()
    daemon.start()
    [row] = daemon.rows()
    assert row.outcome in {"failed", "partial"}
    assert row.cause == "agent-died"
    if row.recordings:
        daemon.wait_for("stored")
        [recording_id] = journals(daemon)
        _, manifest = open_with_key(daemon, recording_id)
        assert manifest.audio.duration_ms < 1000
    else:
        assert daemon.stored(".age") == {}
    daemon.stop()
    assert_nothing_is_left(daemon)


async def test_killed_in_the_middle_of_talk(daemon: Daemon) -> None:
    async with parties(daemon) as call:
        await call.talk(3.0)
        daemon.kill()
    daemon.start()
    [row] = daemon.rows()
    assert (row.outcome, row.cause) == ("partial", "agent-died")
    daemon.wait_for("stored")
    [recording_id] = journals(daemon)
    assert daemon.stored(".wav.age") == {}
    for key in ("quality", "officer-201"):
        wav, manifest = open_with_key(daemon, recording_id, key)
        assert (manifest.outcome, manifest.end_cause) == ("partial", "agent-died")
        left, right = channels(wav)
        assert tone_seconds(left, 1000) > 3.0 - BOUND - SLACK
        assert tone_seconds(right, 1700) > 3.0 - BOUND - SLACK
        assert tone_seconds(left, 1700) == tone_seconds(right, 1000) == 0
    with pytest.raises(subprocess.CalledProcessError):
        open_with_key(daemon, recording_id, "officer-202")
    # What the dead host knew of the envelope is in the seal all the same.
    [statement] = chain(daemon)
    assert statement.id == recording_id
    assert len(statement.recipients) == 3
    daemon.stop()
    assert_nothing_is_left(daemon)


async def test_killed_between_hang_up_and_sealing(daemon: Daemon) -> None:
    async with parties(daemon) as call:
        await call.talk(1.5)
        # Stopped finishers cannot seal before all is killed.
        for pid in finishers(daemon):
            os.kill(pid, signal.SIGSTOP)
        await call.hang_up()
        await daemon.logged("ended")
        daemon.kill()
    daemon.start()
    [row] = daemon.rows()
    # The journal was closed, and the row with it: nothing was lost.
    assert row.outcome in {"recorded", "partial"}
    manifest, left, right = salvaged(daemon)
    assert manifest.end_cause == "caller-hangup"
    assert manifest.outcome == "recorded"
    assert [statement.id for statement in chain(daemon)] == [manifest.id]
    assert tone_seconds(left, 1000) > 1.4
    assert tone_seconds(right, 1700) > 1.4
    daemon.stop()
    assert_nothing_is_left(daemon)


async def test_killed_when_sealed_but_not_stored(daemon: Daemon) -> None:
    storage, away = daemon.root / "storage", daemon.root / "away"
    storage.rename(away)
    storage.write_text("in the way")
    async with parties(daemon) as call:
        await call.talk(1.0)
        await call.hang_up()
        await daemon.logged("sealed")
        await daemon.logged("storing_failed")
    daemon.kill()
    storage.unlink()
    away.rename(storage)
    daemon.start()
    daemon.wait_for("stored")
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "recorded"
    left, _ = channels(recording.wav)
    assert tone_seconds(left, 1000) > 0.9
    [row] = daemon.rows()
    assert row.outcome == "recorded"
    async with parties(daemon) as call:
        await call.talk(0.5)
        await call.hang_up()
        await daemon.logged("stored", count=2)
    first, second = chain(daemon)
    assert (first.id, second.sequence) == (recording.manifest.id, 2)
    daemon.stop()
    assert_nothing_is_left(daemon)


async def test_workers_outlive_main_for_a_while_and_close_their_journals(
    daemon: Daemon,
) -> None:
    async with parties(daemon) as call:
        await call.talk(1.0)
        children = daemon.children()
        workers = daemon.media_workers()
        assert workers
        daemon.kill(workers=False)
        await asyncio.sleep(2.0)
        assert all(_lives(pid) for pid in workers)
        relayed = call.officer.heard[-25:]
        assert tone_frames((h.packet.payload for h in relayed), 1000) >= 20
        await gone(children)
    daemon.start()
    [row] = daemon.rows()
    assert (row.outcome, row.cause) == ("partial", "agent-died")
    daemon.wait_for("stored")
    [recording_id] = journals(daemon)
    wav, manifest = open_with_key(daemon, recording_id)
    assert (manifest.outcome, manifest.end_cause) == ("partial", "agent-died")
    left, right = channels(wav)
    assert tone_seconds(left, 1000) > 5.5
    assert tone_seconds(right, 1700) > 5.5


async def test_a_restart_takes_over_from_workers_that_still_record(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = signing(daemon_at())
    daemon.module = "tests.crash.waiting"
    daemon.start()
    async with parties(daemon) as call:
        await call.talk(1.5)
        children = daemon.children()
        daemon.kill(workers=False)
        # Not by the clock: while all this is done here, nobody speaks.
        said = (call.caller._spoken or 0) / 50
        daemon.start()
        # Sooner than they would have ended by themselves.
        await gone(children)
    assert daemon.log("orphans_retired")
    manifest, left, _ = salvaged(daemon)
    assert manifest.end_cause == "agent-died"
    # They were told to close their journals: nothing of theirs is lost.
    assert tone_seconds(left, 1000) >= said - 0.1
    daemon.stop()
    assert_nothing_is_left(daemon)


@pytest.mark.parametrize("spares", [0, 1])
async def test_a_call_survives_its_media_worker(
    daemon_at: Callable[..., Daemon], spares: int
) -> None:
    daemon = daemon_at(spares=spares).start()
    async with parties(daemon) as call:
        await call.connect()
        remote = call.caller.audio
        await asyncio.sleep(2.0)
        worker = min(daemon.media_workers())
        if spares:
            async with asyncio.timeout(PATIENCE):
                while len(daemon.media_workers()) < 2:
                    await asyncio.sleep(0.05)
        os.kill(worker, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        await daemon.logged("media_worker_ready")
        await asyncio.sleep(2.0)
        assert call.caller.audio == remote
        assert not call.officer.ended.is_set()
        after = [h for h in call.caller.heard if h.arrival_ns > killed_ns]
        assert tone_frames((h.packet.payload for h in after), 1700) > 75
        await call.hang_up()
        total = (call.caller.ended_ns - call.officer.connected_ns) / 1e9
        await daemon.logged("stored")
    row = await closed_row(daemon)
    assert row.outcome == "partial"
    # One packet that the dead worker had in its hands, at most.
    assert row.missing_ms <= 40
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "partial"
    assert recording.manifest.end_cause == "caller-hangup"
    ours = [gap for gap in recording.manifest.gaps if gap.reason == "gap"]
    assert sum(gap.duration_ms for gap in ours) <= 40
    left, right = channels(recording.wav)
    assert abs(len(left) / 8000 - total) < 0.2
    for samples, frequency in ((left, 1000), (right, 1700)):
        assert tone_seconds(samples, frequency) > total - 0.3
    daemon.stop()
    assert_nothing_is_left(daemon)


def finishers(daemon: Daemon) -> list[int]:
    """Pids of the finisher processes."""
    found = []
    for pid in daemon.children():
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


@pytest.mark.parametrize("moment", ["idle", "working"])
async def test_a_killed_finisher_costs_nothing(daemon: Daemon, moment: str) -> None:
    async with parties(daemon) as call:
        await call.talk(1.0)
        pids = finishers(daemon)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL if moment == "idle" else signal.SIGSTOP)
        await call.hang_up()
        await daemon.logged("ended")
        if moment == "working":
            await asyncio.sleep(0.2)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    assert recording.manifest.outcome == "recorded"
    assert (await closed_row(daemon)).outcome == "recorded"
    daemon.stop()
    assert_nothing_is_left(daemon)
