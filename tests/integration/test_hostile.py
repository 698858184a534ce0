"""Spoofed RTP and floods: recordings and calls stay as they would have been."""

import asyncio
import dataclasses
import itertools
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.call.hearing import SIGNALLED_WITHIN
from agent.cli.phone import Phone
from agent.formats.container import read_wav
from agent.formats.rtp.packet import RtpPacket
from tests.lab.daemon import ROOT, Daemon, Recording
from tests.lab.parties import Parties, audio_of, closed_row, noise, parties, until
from tests.patience import PATIENCE
from tests.soak import hostile

pytestmark = pytest.mark.integration

SPEECH = noise(12.0, seed=1)
"What the caller says: every frame of it can be told from every other."
BEGUN = 160
"Its first frame may have begun a sample before the recording does, which cuts it."


def wild(rng: random.Random, ssrc: int | None = None) -> bytes:
    """An RTP packet with everything in it at random."""
    return RtpPacket(
        payload_type=8,
        marker=bool(rng.getrandbits(1)),
        sequence_number=rng.getrandbits(16),
        timestamp=rng.getrandbits(32),
        ssrc=rng.getrandbits(32) if ssrc is None else ssrc,
        payload=b"\x2a" * 160,
    ).to_bytes()


def spoofs(rng: random.Random, ssrc: int) -> Iterator[bytes]:
    """One of each kind of packet that nobody should believe."""
    yield wild(rng, ssrc)
    yield wild(rng)
    yield b"\x80"
    yield rng.randbytes(65_507)
    yield b"\x00" + wild(rng, ssrc)[1:]
    yield rng.randbytes(160)
    yield wild(rng, ssrc)[:12]


def only_recording(daemon: Daemon) -> Recording:
    [recording] = daemon.recordings()
    return recording


def assert_unharmed(call: Parties, daemon: Daemon, seconds: float) -> Recording:
    """The officer heard all the caller said, unbroken, and the recording has it."""
    spoken = SPEECH[: round(seconds * 50) * 160]
    assert spoken in audio_of(call.officer)
    packets = [h.packet for h in call.officer.heard]
    assert len({p.ssrc for p in packets}) == 1
    steps = {
        (b.sequence_number - a.sequence_number) % 65536
        for a, b in itertools.pairwise(packets)
    }
    assert steps == {1}
    recording = only_recording(daemon)
    assert spoken[BEGUN:] in read_wav(recording.wav).samples[0::2]
    assert b"\x2a" * 160 not in read_wav(recording.wav).samples[0::2]
    assert recording.manifest.outcome == "recorded"
    return recording


def media_address(phone: Phone) -> tuple[str, int]:
    assert phone.audio is not None
    return phone.audio.remote.host, phone.audio.remote.port


async def test_strangers_change_nothing(daemon: Daemon) -> None:
    rng = random.Random(2)
    async with parties(daemon) as call:
        call.caller.speech = {"PCMA": SPEECH}
        await call.talk(0.3)
        ssrc = call.officer.heard[-1].packet.ssrc
        target = media_address(call.caller)
        strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "12"]
        try:
            strangers[0].bind(("127.0.0.2", 0))
            strangers[1].bind(("127.0.0.1", 0))
            for _ in range(50):
                for stranger in strangers:
                    for packet in spoofs(rng, ssrc):
                        stranger.sendto(packet, target)
                await asyncio.sleep(0.02)
        finally:
            for stranger in strangers:
                stranger.close()
        await asyncio.sleep(0.5)
        await call.hang_up()
        await daemon.logged("stored")
    recording = assert_unharmed(call, daemon, 1.6)
    # Only before the first packet and behind the last one.
    assert "lost" not in {gap.reason for gap in recording.manifest.gaps}
    assert sum(gap.duration_ms for gap in recording.manifest.gaps) < 100
    assert recording.manifest.legs[0].ssrcs == 1
    assert recording.manifest.legs[0].lost == 0


async def test_strangers_before_the_first_packet_take_nothing_over(
    daemon: Daemon,
) -> None:
    # Before the latch closes, a stranger's address must not be latched to.
    rng = random.Random(3)
    async with parties(daemon) as call:
        call.caller.speech = {"PCMA": SPEECH}
        await call.ring()
        await until(call.caller.connected)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            for _ in range(20):
                stranger.sendto(wild(rng, 7), media_address(call.caller))
        await until(call.officer.connected)
        call.caller.speak()
        await asyncio.sleep(1.0)
        await call.hang_up()
        await daemon.logged("stored")
    assert_unharmed(call, daemon, 0.8)


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def test_wild_packets_from_the_peers_own_address(daemon: Daemon) -> None:
    rng = random.Random(4)
    async with parties(daemon) as call:
        call.caller.speech = {"PCMA": SPEECH}
        await call.talk(0.3)
        [worker] = daemon.media_workers()
        before = resident(worker)
        target = media_address(call.caller)
        wire = call.caller._rtp
        assert wire is not None
        for _ in range(100):
            for _ in range(30):
                wire.sendto(wild(rng), target)
            for packet in (b"\x80", rng.randbytes(2000), rng.randbytes(160)):
                wire.sendto(packet, target)
            await asyncio.sleep(0.01)
        assert resident(worker) - before < 8 << 20
        await asyncio.sleep(0.5)
        await call.hang_up()
        await daemon.logged("stored")
    recording = assert_unharmed(call, daemon, 1.6)
    assert recording.manifest.legs[0].lost == 0


async def test_a_new_source_is_placed_once_validated_and_flagged(
    daemon: Daemon,
) -> None:
    rng = random.Random(5)
    fresh = noise(1.0, seed=6)
    async with parties(daemon) as call:
        call.caller.speech = {"PCMA": SPEECH}
        await call.connect()
        # What comes soon after an answer counts as signalled by it.
        await asyncio.sleep(SIGNALLED_WITHIN + 0.8)
        audio = call.caller.audio
        assert audio is not None
        # The phone falls silent; someone at its address goes on as another source.
        call.caller.audio = dataclasses.replace(
            audio, direction=type(audio.direction).RECVONLY
        )
        wire, target = call.caller._rtp, media_address(call.caller)
        assert wire is not None
        await asyncio.sleep(0.2)
        wire.sendto(wild(rng, 1), target)
        first = rng.getrandbits(15)
        for index in range(50):
            packet = RtpPacket(
                payload_type=8,
                marker=index == 0,
                sequence_number=first + index,
                timestamp=index * 160,
                ssrc=0xFEED,
                payload=fresh[index * 160 : index * 160 + 160],
            )
            wire.sendto(packet.to_bytes(), target)
            await asyncio.sleep(0.02)
        await daemon.logged("media_changed_unsignalled")
        await call.hang_up()
        await daemon.logged("stored")
    recording = only_recording(daemon)
    left = read_wav(recording.wav).samples[0::2]
    assert SPEECH[BEGUN : 160 * 35] in left
    # By its arrival it is placed to a few samples, never reordered or lost.
    assert fresh[160 * 5 : 160 * 45] in left
    assert b"\x2a" * 160 not in left
    assert recording.manifest.legs[0].ssrcs == 2


async def test_a_flood_at_the_sip_port_touches_no_call(daemon: Daemon) -> None:
    assert daemon.process is not None
    async with parties(daemon) as call:
        call.caller.speech = {"PCMA": SPEECH}
        await call.connect()
        flood = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "tests.lab.flood", "20000"],
            *["--sip", str(daemon.sip)],
            cwd=ROOT,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                assert await flood.wait() == 0
        finally:
            if flood.returncode is None:
                flood.kill()
                await flood.wait()
        spoken = len(audio_of(call.officer)) / 8000
        await call.hang_up()
        await daemon.logged("stored")
    assert_unharmed(call, daemon, min(spoken, 11.5) - 0.5)
    row = await closed_row(daemon)
    assert (row.outcome, row.cause) == ("recorded", "caller-hangup")
    bad = {"task_failed", "call_failed", "call_stuck", "part_failed"}
    assert [e for e in daemon.log() if e["event"] in bad] == []
    # Strangers do not fill the log either.
    assert len(daemon.log("stranger_refused")) < 2000
    # And the next call goes through.
    async with parties(daemon) as call:
        await call.talk(0.3)
        await call.hang_up()
        await daemon.logged("stored", count=2)


async def test_fuzzed_sip_and_rtp_during_ten_calls(daemon: Daemon) -> None:
    # `scripts/soak hostile` does it with a million.
    result = await asyncio.to_thread(
        hostile.run, daemon, datagrams=100_000, calls=10, rate=6000.0, limit=150.0
    )
    assert result.failed == []
    assert result.recordings == 10
    assert result.found == result.expected > 1000
    assert result.faults == []
    assert result.growth("main") < 24
    assert result.growth("workers") < 4
    outcomes = [str(row.outcome) for row in daemon.rows()]
    assert outcomes.count("recorded") == 10
    assert set(outcomes) <= {"recorded", "unanswered", "rejected", "abandoned"}
    assert daemon.process is not None
    assert daemon.process.poll() is None
