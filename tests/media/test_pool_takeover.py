"""A worker dies under a running call, and another stands by."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.media import spare
from agent.media.events import RecordingClosed, RecordingOpened, WorkerReady
from tests.media.pairs import FIRST, NOTICE, packets, talk
from tests.media.phones import Phone, Site, audio_bytes, site
from tests.patience import PATIENCE


@pytest.fixture
async def running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setattr(spare, "SETTLE", 0.0)
    ports = FIRST, FIRST + 99
    async with site(tmp_path, ports=ports, sounds=(NOTICE,), spares=1) as running:
        await standing_by(running)
        yield running


async def standing_by(running: Site) -> None:
    async with asyncio.timeout(PATIENCE):
        while not running.pool.stats.spares_up:
            await asyncio.sleep(0)


async def test_nothing_is_lost_with_a_worker(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    said = [customer.say(audio_bytes(n)) for n in range(10)]
    answered = [officer.say(audio_bytes(50 + n)) for n in range(10)]
    await running.settle()
    (worker,) = running.pool.worker_pids
    os.kill(worker, signal.SIGSTOP)
    said += [customer.say(audio_bytes(10 + n)) for n in range(10)]
    answered += [officer.say(audio_bytes(60 + n)) for n in range(10)]
    os.kill(worker, signal.SIGKILL)
    await running.event(WorkerReady)
    heard = await officer.hear_many(20), await customer.hear_many(20)
    assert [p.payload for p in heard[0]] == [packet[12:] for packet in said]
    assert [p.payload for p in heard[1]] == [packet[12:] for packet in answered]
    await running.event(RecordingOpened)
    running.pool.stop_recording(recording, b'{"type":"end"}')
    await running.event(RecordingClosed)
    first, second = (running.journal(recording, epoch) for epoch in (0, 1))
    assert first.header.salt != second.header.salt
    assert packets(first, 0) + packets(second, 0) == said
    assert packets(first, 1) + packets(second, 1) == answered


async def test_who_takes_over_knows_every_sound_and_another_stands_by(
    running: Site, customer: Phone
) -> None:
    await running.connect("call", "c", customer)
    first = running.pool.worker_pids
    os.kill(first[0], signal.SIGKILL)
    await running.event(WorkerReady)
    running.pool.play("c", ["notice"])
    assert b"".join(p.payload for p in await customer.hear_many(11)).startswith(
        NOTICE.pcma
    )
    await standing_by(running)
    assert running.pool.worker_pids != first
