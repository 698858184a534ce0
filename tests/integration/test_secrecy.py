"""What may be in a recording, and where else nothing of it may ever be."""

import asyncio
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from agent.cli.phone import FRAME, Phone
from agent.formats.codecs.g711 import decode_alaw, encode_alaw
from agent.formats.container import read_wav
from agent.model.media import Direction
from tests.crash.test_kill import journals, open_with_key
from tests.lab.daemon import ROOT, Daemon
from tests.lab.parties import (
    Parties,
    channels,
    goertzel_db,
    noise,
    parties,
    say,
    sine,
    until,
)
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration

NOTICE, RINGBACK, QUEUE, HOLD, HELD = 620, 530, 2310, 3330, 2650
FORBIDDEN = {
    NOTICE: "notice",
    RINGBACK: "ringback",
    QUEUE: "caller before the answer",
    HOLD: "the holding party's music",
    HELD: "the held party",
}
THRESHOLD_DB = -50.0
SILENCE = 0xD5


def heard_tones(*sides: np.ndarray) -> dict[int, str]:
    """Which of the forbidden tones are in a recording."""
    return {
        frequency: name
        for frequency, name in FORBIDDEN.items()
        if any(goertzel_db(side, frequency) > THRESHOLD_DB for side in sides)
    }


def offer(phone: Phone, direction: Direction) -> None:
    """Offer the call anew: hold it, or resume it."""
    negotiation, agent = phone._negotiation, phone._user_agent
    assert negotiation is not None
    if negotiation.pending:
        # The phone itself leaves answers to its later offers unread.
        negotiation.cancel_offer()
    body = negotiation.offer(direction=direction)
    agent.core.reoffer(phone._session, agent.now, body=body)
    agent.flush()


async def go_through_every_phase(call: Parties) -> None:
    """Queue, notice, ringback, talk, hold, talk: each with tones of its own."""
    caller, officer = call.caller, call.officer
    say(caller, QUEUE, 1.2)
    await call.ring()
    await until(caller.connected)
    caller.speak()
    await until(officer.connected)
    say(caller, 1000)
    caller.speak()
    officer.speak()
    await asyncio.sleep(0.8)
    offer(caller, Direction.SENDONLY)
    await call.daemon.logged("held", count=len(call.daemon.log("resumed")) + 1)
    await asyncio.sleep(0.1)
    say(caller, HOLD, 0.6)
    say(officer, HELD, 0.6)
    caller.speak()
    officer.speak()
    # A phone that talks on although it is held.
    assert officer.audio is not None
    assert not officer.audio.direction.sends
    officer.audio = dataclasses.replace(officer.audio, direction=Direction.SENDRECV)
    await asyncio.sleep(0.9)
    offer(caller, Direction.SENDRECV)
    await call.daemon.logged("resumed", count=len(call.daemon.log("held")))
    say(caller, 1000)
    say(officer, 1700)
    caller.speak()
    officer.speak()
    await asyncio.sleep(0.8)


@pytest.mark.parametrize("end", ["hang-up", "kill"])
async def test_nothing_but_the_talk_is_in_a_recording(
    daemon_at: Callable[..., Daemon], end: str
) -> None:
    daemon = daemon_at(notice=sine(NOTICE, 0.4))
    tones = f"\n[tones]\nfrequency = {RINGBACK}\n"
    daemon.config.write_text(daemon.config.read_text() + tones)
    daemon.start()
    async with parties(daemon, answer_after=1.3) as call:
        await go_through_every_phase(call)
        heard = np.concatenate([_samples(call.caller), np.zeros(800)])
        if end == "hang-up":
            await call.hang_up()
            await daemon.logged("stored")
        else:
            await asyncio.sleep(1.2)
            daemon.kill()
            daemon.start()
            daemon.wait_for("stored")
    # All of it was there to be heard.
    assert goertzel_db(heard, NOTICE) > -20
    assert goertzel_db(heard, RINGBACK) > -20
    if end == "hang-up":
        [recording] = daemon.recordings()
        wav = recording.wav
    else:
        [recording_id] = journals(daemon)
        wav, _ = open_with_key(daemon, recording_id)
    left, right = channels(wav)
    assert goertzel_db(left, 1000) > -20
    assert goertzel_db(right, 1700) > -20
    assert heard_tones(left, right) == {}


async def test_the_search_finds_what_is_there(daemon: Daemon) -> None:
    async with parties(daemon) as call:
        # Each tone faintly, in the midst of talk: 26 dB below it.
        pcm = b"".join(sine(f, 0.2, amplitude=450) for f in FORBIDDEN)
        call.caller.speech = {"PCMA": encode_alaw(pcm)}
        await call.talk(1.2)
        await call.hang_up()
        await daemon.logged("stored")
    [recording] = daemon.recordings()
    left, right = channels(recording.wav)
    assert heard_tones(left) == FORBIDDEN
    assert heard_tones(right) == {}


def _samples(phone: Phone) -> np.ndarray:
    data = b"".join(h.packet.payload for h in phone.heard)
    return np.frombuffer(decode_alaw(data), dtype="<i2") / 32768.0


async def test_the_recording_begins_with_the_answer_and_ends_with_the_bye(
    daemon: Daemon,
) -> None:
    speech = noise(12.0, seed=8)
    index = {speech[at : at + 160]: at for at in range(0, len(speech), 160)}
    async with parties(daemon, answer_after=0.5) as call:
        call.caller.speech = {"PCMA": speech}
        await call.ring()
        await until(call.caller.connected)
        call.caller.speak()
        await until(call.officer.connected)
        await asyncio.sleep(1.5)
        await call.hang_up()
        await daemon.logged("stored")
    # The officer heard the very frames that may be recorded, and when.
    arrival = {h.packet.payload: h.arrival_ns for h in call.officer.heard}
    [recording] = daemon.recordings()
    left = read_wav(recording.wav).samples[0::2]
    at = min(found for f in index if (found := left.find(f)) >= 0)
    recorded = [left[n : n + 160] for n in range(at, len(left) - 159, 160)]
    frames = [frame for frame in recorded if frame in index]
    first, last = index[frames[0]], index[frames[-1]]
    assert first > 0, "what the caller said before the answer is not in it"
    assert last - first == 160 * (len(frames) - 1)
    answered, ended = call.officer.connected_ns, call.caller.ended_ns
    assert abs(arrival[frames[0]] - answered) < 100e6
    assert abs(ended - arrival[frames[-1]]) < 100e6
    talked_ms = (ended - answered) / 1e6
    assert abs(recording.manifest.audio.duration_ms - talked_ms) < 100


# -- raw bytes ----------------------------------------------------------------

TALK, BEFORE, IN_HOLD = (noise(FRAME / 8000, seed=seed) for seed in (11, 12, 13))
"One frame each, said again and again: what is to be searched for."


def needles(frame: bytes) -> list[bytes]:
    """How a frame would look in the clear: as sent, in a stereo file, as PCM."""
    part = frame[40:80]
    stereo = bytes(byte for sample in part for byte in (sample, SILENCE))
    return [part, stereo, decode_alaw(part)]


def files_with(frame: bytes, areas: Iterable[Path]) -> list[Path]:
    """Files that hold a frame in the clear."""
    found = []
    for area in areas:
        for path in area.rglob("*"):
            if not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # it was done with in between
            if any(needle in data for needle in needles(frame)):
                found.append(path)
    return found


def assert_clean(areas: list[Path]) -> None:
    """No area holds audio in the clear, and the search would have found it."""
    for frame in (TALK, BEFORE, IN_HOLD):
        assert files_with(frame, areas) == []
    planted = [area / "planted" for area in areas]
    for path in planted:
        path.write_bytes(bytes(1000) + TALK + bytes(1000))
    assert sorted(files_with(TALK, areas)) == sorted(planted)
    for path in planted:
        path.unlink()


def core_of(pid: int, directory: Path) -> bytes:
    """A process's memory: by gcore where there is one, else read directly."""
    if gcore := shutil.which("gcore"):
        prefix = directory / "core"
        subprocess.run(
            [gcore, "-o", prefix, str(pid)],
            check=True,
            timeout=20,
            capture_output=True,
        )
        path = directory / f"core.{pid}"
        data = path.read_bytes()
        path.unlink()
        return data
    os.kill(pid, signal.SIGSTOP)
    parts = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                span, rights, *_ = line.split()
                if rights.startswith("rw"):
                    start, end = (int(edge, 16) for edge in span.split("-"))
                    memory.seek(start)
                    parts.append(memory.read(end - start))
    finally:
        os.kill(pid, signal.SIGCONT)
    return b"".join(parts)


def repeat(phone: Phone, frame: bytes, frames: int = 1500) -> None:
    phone.speech = {"PCMA": frame * frames}
    phone.speak()


async def test_no_area_of_the_disk_ever_holds_audio_in_the_clear(
    daemon_at: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = daemon_at()
    scratch, cores = tmp_path / "tmp", tmp_path / "cores"
    scratch.mkdir()
    cores.mkdir()
    areas = [daemon.spool, daemon.root / "storage", scratch]
    daemon.start(TMPDIR=str(scratch), RECORDING_AGENT_DUMPABLE="1")
    async with parties(daemon, answer_after=0.6) as call:
        await call.ring()
        await until(call.caller.connected)
        repeat(call.caller, BEFORE, 25)
        await until(call.officer.connected)
        repeat(call.caller, TALK)
        await asyncio.sleep(1.5)
        offer(call.caller, Direction.SENDONLY)
        await daemon.logged("held")
        repeat(call.caller, IN_HOLD, 25)
        await asyncio.sleep(0.7)
        offer(call.caller, Direction.SENDRECV)
        await daemon.logged("resumed")
        repeat(call.caller, TALK)
        await asyncio.sleep(2.5)
        assert_clean(areas)
        [worker] = daemon.media_workers()
        memory = core_of(worker, cores)
        assert_clean(areas)
        # The open block is in memory by design: 0.9 s, and what Python has not
        # used again. What was said at other times was never put in a block.
        talk, before, hold = (memory.count(f) for f in (TALK, BEFORE, IN_HOLD))
        assert 0 < talk < 150
        assert before <= 3
        assert hold <= 3
        daemon.kill()
    assert_clean(areas)
    daemon.start(TMPDIR=str(scratch))
    daemon.wait_for("stored")
    assert_clean(areas)
    async with parties(daemon) as call:
        await call.ring()
        await until(call.officer.connected)
        repeat(call.caller, TALK)
        await asyncio.sleep(1.0)
        await call.hang_up()
        await daemon.logged("sealed")
        assert_clean(areas)
        await daemon.logged("stored", count=2)
    daemon.stop()
    assert_clean([scratch, daemon.root])
    [recording] = daemon.recordings()
    # And where it should be, it is: a control of the needles themselves.
    assert any(needle in recording.wav for needle in needles(TALK))


_AS_NOBODY = """
import ctypes, os, sys
from agent.media import worker
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
worker.main()
"""
"A worker that dropped root's rights, and is dumpable as other processes are."


@pytest.mark.parametrize("dumpable", [False, True])
async def test_a_worker_cannot_be_dumped_by_its_own_user(
    *, dumpable: bool, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "worker.sock"))
        listener.listen()
        fd = listener.fileno()
        worker = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", _AS_NOBODY, str(fd)],
            cwd=ROOT,
            pass_fds=(fd,),
            env=os.environ | {"RECORDING_AGENT_DUMPABLE": str(int(dumpable))},
        )
        process = Path(f"/proc/{worker.pid}")
        try:
            async with asyncio.timeout(PATIENCE):
                # It polls once it is set up.
                while b"eventpoll" not in _readlinks(process / "fd"):
                    await asyncio.sleep(0.05)
            limits = (process / "limits").read_text()
            core = next(x for x in limits.splitlines() if x.startswith("Max core"))
            # What is not dumpable belongs to root in /proc, and to nobody else.
            owner = (process / "mem").stat().st_uid
            if dumpable:
                assert owner == 65534
            else:
                assert owner == 0
                assert core.split()[4:6] == ["0", "0"]
        finally:
            worker.kill()
            await worker.wait()


def _readlinks(directory: Path) -> bytes:
    links = []
    for path in directory.iterdir():
        try:
            links.append(os.fsencode(path.readlink()))
        except OSError:
            continue
    return b" ".join(links)
