"""A recording paused by command: nothing of the pause anywhere, all of it told."""

import asyncio
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from agent.formats.envelope import open_envelope
from agent.formats.journal import NoteRecord, PacketRecord
from agent.formats.journal_reading import read_journal
from agent.model.recording import Note, SegmentMark
from agent.service.commands import LocalRequest, PauseRequest, Reply, ResumeRequest
from agent.service.control import ask
from tests.integration.test_sipp_media import Keypad
from tests.lab.daemon import CALLER, ROOT, SERVICE, Daemon
from tests.lab.parties import Parties, channels, goertzel_db, parties, say
from tests.lab.scenes import CUSTOMER_HZ, our_phone
from tests.lab.sipp import Sipp
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration

SECRET = 2650
PAUSABLE = "max_pause = 60.0"


def command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as an operator does."""
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments, "-c", str(daemon.config)],
        cwd=ROOT,
        timeout=30,
        capture_output=True,
        text=True,
        check=False,
    )


async def request(daemon: Daemon, what: LocalRequest) -> Reply:
    return await asyncio.to_thread(ask, daemon.spool / "run", what)


def speak_of(call: Parties, customer: float, officer: float) -> None:
    """Both say another tone from now on."""
    say(call.caller, customer)
    say(call.officer, officer)
    call.caller.speak()
    call.officer.speak()


def press_a_digit(call: Parties) -> list[bytes]:
    """Have the caller send an event beside its speech; returns the payloads."""
    audio, channel = call.caller.audio, call.caller._rtp
    assert audio is not None
    assert audio.telephone_event is not None
    keypad = Keypad(cast("Any", channel))
    digits = [struct.pack("!BBH", 7, 0x0A, 160 * n) for n in range(1, 6)]
    keypad.pending = [(audio.telephone_event, digit) for digit in digits]
    call.caller._rtp = cast("Any", keypad)
    return digits


def journal_of(daemon: Daemon, path: Path) -> list[Any]:
    """The records of a journal that is still being written, opened with its key."""
    name = path.name.partition(".")[0]
    envelope = (daemon.spool / "keys" / f"{name}.key.age").read_bytes()
    key = open_envelope(envelope, [daemon.identities["quality"]])
    return list(read_journal(path.read_bytes(), key.journal_key(name)).records)


def pause_of(records: list[Any]) -> tuple[SegmentMark, SegmentMark]:
    notes = [
        msgspec.json.decode(record.note, type=Note)
        for record in records
        if isinstance(record, NoteRecord)
    ]
    begin, end = [
        note
        for note in notes
        if isinstance(note, SegmentMark) and note.kind.startswith("pause-")
    ]
    assert (begin.kind, end.kind) == ("pause-begin", "pause-end")
    return begin, end


async def test_nothing_of_a_pause_is_kept(daemon_at: Callable[..., Daemon]) -> None:
    daemon = daemon_at(route=PAUSABLE).start()
    async with parties(daemon) as call:
        await call.connect()
        await asyncio.sleep(0.6)
        shown = await asyncio.to_thread(command, daemon, "status", "--json")
        status, _ = map(msgspec.json.decode, shown.stdout.splitlines())
        assert (status["state"], status["recording"]) == ("talking", "on")
        name = status["call_id"]
        done = await asyncio.to_thread(
            command, daemon, "pause", name[:8], "--seconds", "30", "--reason", "card"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "paused" in done.stdout
        speak_of(call, SECRET, SECRET)
        digits = press_a_digit(call)
        await asyncio.sleep(0.8)
        speak_of(call, 1000, 1700)
        await asyncio.sleep(0.1)
        done = await asyncio.to_thread(command, daemon, "resume", name[:8])
        again = await asyncio.to_thread(command, daemon, "resume", name[:8])
        assert again.returncode == 1
        assert "not paused" in again.stderr
        await asyncio.sleep(1.2)
        [path] = (daemon.spool / "journal").glob("*.journal")
        records = journal_of(daemon, path)
        # The parties heard each other all the time.
        for phone in (call.caller, call.officer):
            heard = b"".join(h.packet.payload for h in phone.heard)
            samples = np.frombuffer(heard, np.uint8)
            assert len(samples) > 3 * 8000
        assert {h.packet.payload for h in call.officer.heard} >= set(digits)
        await call.hang_up()
        await daemon.logged("stored")
    begin, end = pause_of(records)
    packets = [record for record in records if isinstance(record, PacketRecord)]
    for leg in (0, 1):
        arrivals = [p.arrival_ns for p in packets if p.leg == leg]
        assert any(at < begin.at_monotonic_ns for at in arrivals)
        assert any(at > end.at_monotonic_ns for at in arrivals)
        assert not any(
            begin.at_monotonic_ns <= at < end.at_monotonic_ns for at in arrivals
        )
        # To the moment: no more than a frame is missing on either side.
        edge = max(at for at in arrivals if at < begin.at_monotonic_ns)
        assert begin.at_monotonic_ns - edge < 60_000_000
    assert not any(digit in packet.packet for digit in digits for packet in packets)
    user = f"uid:{os.geteuid()}"
    assert (begin.by, begin.reason) == (user, "card")
    assert (end.by, end.reason) == (user, "command")
    [paused], [resumed] = (
        daemon.log("recording_paused"),
        daemon.log("recording_resumed"),
    )
    assert (paused["by"], paused["call_id"]) == (user, name)
    assert (resumed["by"], resumed["call_id"]) == (user, name)
    [recording] = daemon.recordings()
    for side, tone in zip(channels(recording.wav), (1000, 1700), strict=True):
        assert goertzel_db(side, tone) > -20
        assert goertzel_db(side, SECRET) < -50
    gaps = [gap for gap in recording.manifest.gaps if gap.reason == "pause"]
    assert {gap.leg for gap in gaps} == {0, 1}
    span_ms = (end.at_monotonic_ns - begin.at_monotonic_ns) / 1e6
    for gap in gaps:
        assert gap.duration_ms == pytest.approx(span_ms, abs=60)
    [told] = recording.manifest.pauses
    assert (told.by, told.reason) == (user, "card")
    assert (told.ended_by, told.ended_because) == (user, "command")
    assert told.duration_ms == pytest.approx(span_ms, abs=1)
    assert daemon.rows()[0].outcome == "recorded"
    assert not daemon.rows()[0].missing_ms


async def test_a_pause_survives_its_worker_and_ends_by_itself(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(route="max_pause = 2.5").start()
    async with parties(daemon) as call:
        await call.connect()
        await asyncio.sleep(0.5)
        name = daemon.log("call_begun")[0]["call_id"]
        reply = await request(daemon, PauseRequest(call_id=name, seconds=600.0))
        assert not reply.error
        assert reply.calls[0].resumes_in == pytest.approx(2.5, abs=0.5)
        speak_of(call, SECRET, SECRET)
        await asyncio.sleep(0.3)
        os.kill(daemon.media_workers()[0], signal.SIGKILL)
        await daemon.logged("media_worker_ready")
        resumed = await daemon.logged("recording_resumed")
        assert (resumed["by"], resumed["reason"]) == ("agent", "limit")
        speak_of(call, 1000, 1700)
        await asyncio.sleep(0.8)
        reply = await request(daemon, ResumeRequest(call_id=name))
        assert "not paused" in reply.error
        await call.hang_up()
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    [told] = recording.manifest.pauses
    assert (told.ended_by, told.ended_because) == ("agent", "limit")
    pauses = [gap for gap in recording.manifest.gaps if gap.reason == "pause"]
    assert {gap.leg for gap in pauses} == {0, 1}
    end_ms = max(gap.start_ms + gap.duration_ms for gap in pauses)
    for side, tone in zip(channels(recording.wav), (1000, 1700), strict=True):
        assert goertzel_db(side[end_ms * 8 + 800 :], tone) > -20
        assert goertzel_db(side[: end_ms * 8], SECRET) < -50


async def test_by_default_no_recording_can_be_paused(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at().start()
    async with parties(daemon) as call:
        await call.connect()
        await daemon.logged("recording_begun")
        name = daemon.log("call_begun")[0]["call_id"]
        refused = await asyncio.to_thread(command, daemon, "pause", name)
        assert refused.returncode == 1
        assert "max_pause" in refused.stderr
        await call.hang_up()
        await daemon.logged("ended")
    assert not daemon.log("recording_paused")


@pytest.mark.interop("sipp", "as a record-aware officer: told of every change")
async def test_a_record_aware_phone_is_told(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at(route=PAUSABLE).start()
    async with our_phone(daemon.caller, CALLER, CUSTOMER_HZ) as caller:
        with Sipp(
            tmp_path, "officer-is-record-aware", port=daemon.officers[0]
        ) as officer:
            await caller.call(f"sip:{SERVICE}@127.0.0.1:{daemon.sip}")
            begun = await daemon.logged("recording_begun")
            name = begun["call_id"]
            await said(officer, "on")
            await request(daemon, PauseRequest(call_id=name))
            await said(officer, "on", "paused")
            await request(daemon, ResumeRequest(call_id=name))
            await said(officer, "on", "paused", "on")
            caller.hang_up()
            await officer.succeeds()
    await daemon.logged("stored")


async def said(phone: Sipp, *expected: str) -> None:
    """Wait until a phone has heard so of the recording, repetitions apart."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = re.findall(r"(?m)^a=record:(\w+)", phone.messages)
            changes = [one for n, one in enumerate(found) if found[n - 1 : n] != [one]]
            if changes == list(expected):
                return
            await asyncio.sleep(0.05)
