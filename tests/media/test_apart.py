"""Workers that are units of their own: main processes come and go, media does not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from agent import __version__
from agent.media import apart, control, crew
from agent.media.config import MediaConfig
from agent.media.control_socket import control_sockets
from agent.media.errors import NoWorkerError
from agent.media.events import (
    LegClosed,
    PlayEnded,
    RecordingClosed,
    RecordingOpened,
    WorkerLost,
    WorkerReady,
)
from agent.media.pool import MediaPool
from agent.media.state import MediaState
from tests.media.pairs import FIRST, NOTICE, continuous, notes, packets, talk
from tests.media.phones import KEY, Phone, Site, audio_bytes, note_kinds
from tests.media.secure_phone import SecurePhone
from tests.media.units import Units, units
from tests.patience import PATIENCE


@pytest.fixture
def running_units(tmp_path: Path) -> Iterator[Units]:
    with units(tmp_path / "run", 2) as running:
        yield running


def abandon(pool: MediaPool) -> None:
    """What the death of a main process does: its descriptors are closed."""
    crew: Any = pool._crew
    for place in (*crew._workers, *crew._spares):
        place._tasks.cancel()
        if place._link is not None:
            place._link.detach()
    crew._close()
    pool._legs.close()
    pool._recordings.clear()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a state that no event tells of."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0)


@asynccontextmanager
async def main_process(
    directory: Path, *, workers: int = 1, spares: int = 1
) -> AsyncIterator[Site]:
    """One main process after another, by and by; leaves its workers alone."""
    config = MediaConfig(
        ports=(FIRST, FIRST + 99),
        workers=workers,
        spares=spares,
        drain=0.05,
        fsync_interval=0.05,
    )
    running = Site(config, directory, apart=True)
    await running.pool.start()
    try:
        running.pool.add_sound(NOTICE)
        yield running
    finally:
        abandon(running.pool)


@asynccontextmanager
async def first_talking(
    directory: Path, customer: Phone, officer: Phone
) -> AsyncIterator[Site]:
    """The first of them, with a call that is up."""
    async with main_process(directory) as first:
        await first.pool.resume([], {})
        await talk(first, customer, officer)
        yield first


def stored(running: Site, call: str = "call") -> MediaState:
    """The state as it is written and read."""
    data = msgspec.msgpack.encode(running.pool.state_of(call))
    return msgspec.msgpack.decode(data, type=MediaState)


async def test_calls_and_recordings_do_not_notice_a_new_main_process(
    tmp_path: Path, running_units: Units, customer: Phone, officer: Phone
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        recording = await first.record(("c", "o"))
        said = [customer.say(audio_bytes(1))]
        heard = [await officer.hear()]
        await first.settle()
        state = stored(first)
    # Nobody is there; and nobody is missed.
    said.append(customer.say(audio_bytes(2)))
    heard.append(await officer.hear())
    async with main_process(tmp_path) as second:
        await second.pool.resume([state], {recording: KEY})
        opened = await second.event(RecordingOpened)
        assert opened.path.endswith(f"{recording}.0.journal")
        said.append(customer.say(audio_bytes(3)))
        heard.append(await officer.hear())
        await second.settle()
        assert stored(second).legs == state.legs
        second.pool.mark(recording, b'{"type":"mark","kind":"codecs"}')
        second.pool.stop_recording(recording, b'{"type":"end"}')
        closed = await second.event(RecordingClosed)
        assert (closed.path, closed.packets) == (opened.path, 3)
        second.pool.close_leg("c")
        assert (await second.event(LegClosed)).stats.received == 5
        assert not second.told(WorkerLost)
    assert continuous(heard)
    journal = second.journal(recording)
    assert journal.complete
    assert packets(journal, 0) == said
    assert note_kinds(notes(journal)) == ["begin", "codecs", "end"]


async def test_keys_and_rollover_counts_go_on_under_a_new_main_process(
    tmp_path: Path, running_units: Units, officer: Phone
) -> None:
    with SecurePhone(ssrc=0xC0, seed=10) as customer:
        customer.sequence = 0xFFF0
        async with first_talking(tmp_path, customer, officer) as first:
            for n in range(40):
                customer.say(audio_bytes(n))
                officer.say(audio_bytes(n))
                await officer.hear()
                before = await customer.hear()
            state = stored(first)
        async with main_process(tmp_path) as second:
            await second.pool.resume([state], {})
            customer.say(b"on")
            assert (await officer.hear()).payload == b"on"
            officer.say(b"and on")
            after = await customer.hear()
            assert (after.payload, after.ssrc) == (b"and on", before.ssrc)
            assert continuous([before, after])
            assert customer.unauthentic == 0


async def test_what_nobody_claims_is_ended(
    tmp_path: Path, running_units: Units, customer: Phone, officer: Phone
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        recording = await first.record(("c", "o"))
        never = await first.record(("c", "o"), grant=False)
    async with main_process(tmp_path) as second:
        await second.pool.resume([], {})
        journal = second.journal(recording)
        assert journal.complete
        assert note_kinds(notes(journal)) == ["begin", "agent-died"]
        assert not (second.journals / f"{never}.0.journal").exists()
        assert {(await second.event(LegClosed)).leg for _ in "co"} == {"c", "o"}
        # Its ports are free again.
        await talk(second, customer, officer)


async def test_what_is_on_its_way_when_a_main_process_dies_is_not_lost(
    tmp_path: Path, running_units: Units, customer: Phone, officer: Phone
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        recording = await first.record(("c", "o"))
        other = await first.record(("c", "o"))
        token = first.pool.play("o", ["notice"])
        await officer.hear()
        first.pool.stop_recording(recording, b'{"type":"end"}')
        first.pool.flush()
        # Written down, and never said.
        first.pool.tap(other, "o", on=False, at_ns=0)
        first.pool.stop_recording(other, b'{"type":"end"}')
        first.pool._crew._workers[0]._link._channel._queue.clear()
        state = stored(first)
    async with main_process(tmp_path) as second:
        await second.pool.resume([state], {recording: KEY, other: KEY})
        closed = {(await second.event(RecordingClosed)).recording for _ in range(2)}
        assert closed == {recording, other}
        assert (await second.event(PlayEnded)).token == token
        assert second.pool.play("c", ["notice"]) == token + 1
        assert second.pool.stats.recordings == 0


async def test_a_worker_that_died_with_its_main_process_is_replaced(
    tmp_path: Path, running_units: Units, customer: Phone, officer: Phone
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        recording = await first.record(("c", "o"))
        state = stored(first)
        (worker,) = first.pool.worker_pids
    os.kill(worker, signal.SIGKILL)
    async with main_process(tmp_path) as second:
        await second.pool.resume([state], {recording: KEY})
        assert (await second.event(WorkerLost)).recordings == (recording,)
        said = await second.latch("c", customer)
        assert [p.payload for p in await officer.hear_many(2)] == [
            packet[12:] for packet in said
        ]
        second.pool.stop_recording(recording, b'{"type":"end"}')
        closed = await second.event(RecordingClosed)
        assert closed.path.endswith(f"{recording}.1.journal")
        # Its successor dies too, and who stands by takes over.
        (worker,) = second.pool.worker_pids
        os.kill(worker, signal.SIGKILL)
        await second.event(WorkerLost)
        await second.event(WorkerReady)
        said = [customer.say(b"one"), customer.say(b"two")]
        assert [p.payload for p in await officer.hear_many(2)] == [b"one", b"two"]


@pytest.mark.parametrize("spares", [0, 1])
async def test_calls_of_workers_that_are_more_than_wanted_go_on_to_their_end(
    tmp_path: Path,
    running_units: Units,
    customer: Phone,
    officer: Phone,
    spares: int,
) -> None:
    """With a spare wanted, the surplus worker's socket is not surplus itself."""
    with Phone(ssrc=0xC2) as second_customer, Phone(ssrc=0x02) as second_officer:
        async with main_process(tmp_path, workers=2, spares=0) as first:
            await first.pool.resume([], {})
            await until(lambda: first.pool.workers_up == 2)
            await talk(first, customer, officer)
            await first.connect("other", "c2", second_customer)
            await first.connect("other", "o2", second_officer)
            first.pool.bridge("c2", "o2")
            await first.latch("c2", second_customer)
            await second_officer.hear_many(2)
            recordings = [
                await first.record(("c", "o")),
                await first.record(("c2", "o2")),
            ]
            places = {leg.name: leg.worker for leg in first.pool._legs}
            assert places["c"] != places["c2"]
            await first.settle()
            states = [stored(first), stored(first, "other")]
        keys = dict.fromkeys(recordings, KEY)
        with structlog.testing.capture_logs() as log:
            second = main_process(tmp_path, workers=1, spares=spares)
            async with second as running:
                await running.pool.resume(states, keys)
                assert running.pool.workers_up == 1
                for said, heard in (
                    (customer, officer),
                    (second_customer, second_officer),
                ):
                    said.say(b"on")
                    assert (await heard.hear()).payload == b"on"
                # The new is for those that stay.
                for n in range(3):
                    await running.pool.open_leg(f"new{n}", f"n{n}")
                legs = {leg.name: leg.worker for leg in running.pool._legs}
                assert [legs[f"n{n}"] for n in range(3)] == [0, 0, 0]
                [surplus] = running.pool._crew.draining
                [last] = [call for call in ("c", "c2") if legs[call] == surplus]
                recording = recordings[last == "c2"]
                for leg in (last, last.replace("c", "o")):
                    running.pool.close_leg(leg)
                    await running.event(LegClosed)
                assert running.pool._crew.draining == [surplus]
                running.pool.stop_recording(recording, b'{"type":"end"}')
                await running.event(RecordingClosed)
                assert running.pool._crew.draining == []
                if spares:
                    # Who is done with its calls stands by from now on.
                    await until(lambda: running.pool.stats.spares_up > 0)
        journal = first.journal(recording)
        assert journal.complete
        assert packets(journal, 0)[-1][12:] == b"on"
        assert not running.told(WorkerLost)
        assert [entry["event"] for entry in log] == [
            "media_worker_draining",
            "media_worker_drained",
        ]
        units = running_units.processes.values()
        assert all(process.poll() is None for process in units)


UPGRADED = "0.1.0-2"


@pytest.fixture
def upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Units]]:
    """Starts workers of another release at the next numbers, which is ours as well."""
    prefix = tmp_path / "installed"
    (prefix / "share").mkdir(parents=True)
    (prefix / "share/release").write_text(UPGRADED)
    with ExitStack() as stack:

        def start(count: int) -> Units:
            monkeypatch.setattr(crew, "release", lambda: UPGRADED)
            more = units(tmp_path / "run", count, first=2, prefix=prefix)
            return stack.enter_context(more)

        yield start


async def test_upgraded_workers_take_what_is_new_and_others_end_with_their_calls(
    tmp_path: Path,
    running_units: Units,
    upgrade: Callable[[int], Units],
    customer: Phone,
    officer: Phone,
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        recording = await first.record(("c", "o"))
        await first.settle()
        state = stored(first)
        (busy,) = first.pool.worker_pids
    [kept, idle] = sorted(running_units.processes.values(), key=lambda p: p.pid != busy)
    with structlog.testing.capture_logs() as log:
        newer = upgrade(2)
        await until(lambda: len(control_sockets(tmp_path / "run")) == 4)
        async with main_process(tmp_path) as second:
            await second.pool.resume([state], {recording: KEY})
            [place] = second.pool.workers
            assert (place.release, second.pool.stats.spares_up) == (UPGRADED, 1)
            # Who had nothing is not needed any more.
            assert await asyncio.to_thread(idle.wait, PATIENCE) == control.FOR_GOOD
            customer.say(b"on")
            assert (await officer.hear()).payload == b"on"
            await second.pool.open_leg("new", "n")
            legs = {leg.name: leg.worker for leg in second.pool._legs}
            assert legs["n"] == 0
            assert second.pool._crew.draining == [legs["c"]] == [legs["o"]]
            assert set(second.pool.worker_pids) < {busy} | newer.pids()
            for leg in "co":
                second.pool.close_leg(leg)
                await second.event(LegClosed)
            assert kept.poll() is None
            second.pool.stop_recording(recording, b'{"type":"end"}')
            await second.event(RecordingClosed)
            assert await asyncio.to_thread(kept.wait, PATIENCE) == control.FOR_GOOD
            # The number of who died is free again for the next release.
            names = [path.name for path in control_sockets(tmp_path / "run")]
            assert names == ["media-2.sock", "media-3.sock"]
            (worker,) = second.pool.worker_pids
            os.kill(worker, signal.SIGKILL)
            await second.event(WorkerReady)
            await until(lambda: second.pool.stats.spares_up == 1)
    assert first.journal(recording).complete
    assert len(second.told(WorkerLost)) == 1
    told = [(e["event"], e.get("version")) for e in log if e["event"] != "repeated"]
    assert told[:2] == [
        ("media_worker_draining", __version__),
        ("media_worker_drained", __version__),
    ]


async def test_who_drains_does_so_under_the_next_main_process_as_well(
    tmp_path: Path,
    running_units: Units,
    upgrade: Callable[[int], Units],
    customer: Phone,
    officer: Phone,
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        state = stored(first)
        (busy,) = first.pool.worker_pids
    [kept, _] = sorted(running_units.processes.values(), key=lambda p: p.pid != busy)
    upgrade(2)
    await until(lambda: len(control_sockets(tmp_path / "run")) == 4)
    with Phone(ssrc=0xC2) as newer:
        async with main_process(tmp_path) as second:
            await second.pool.resume([state], {})
            await second.connect("other", "n", newer)
            states = [stored(second), stored(second, "other")]
        async with main_process(tmp_path) as third:
            await third.pool.resume(states, {})
            customer.say(b"on")
            assert (await officer.hear()).payload == b"on"
            legs = {leg.name: leg.worker for leg in third.pool._legs}
            assert legs["n"] == 0
            assert third.pool._crew.draining == [legs["c"]]
            for leg in "co":
                third.pool.close_leg(leg)
                await third.event(LegClosed)
            assert await asyncio.to_thread(kept.wait, PATIENCE) == control.FOR_GOOD


async def test_where_upgraded_workers_are_too_few_those_before_go_on(
    tmp_path: Path,
    running_units: Units,
    upgrade: Callable[[int], Units],
    customer: Phone,
    officer: Phone,
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        state = stored(first)
    upgrade(1)
    await until(lambda: len(control_sockets(tmp_path / "run")) == 3)
    async with main_process(tmp_path) as second:
        await second.pool.resume([state], {})
        await second.pool.open_leg("new", "n")
        assert {leg.worker for leg in second.pool._legs} == {0}
        assert second.pool._crew.draining == []
        assert second.pool.stats.spares_up == 1
        for leg in "con":
            second.pool.close_leg(leg)
            await second.event(LegClosed)
    assert all(p.poll() is None for p in running_units.processes.values())


async def test_a_worker_of_another_version_closes_its_journals_and_is_restarted(
    tmp_path: Path,
    running_units: Units,
    customer: Phone,
    officer: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with first_talking(tmp_path, customer, officer) as first:
        recording = await first.record(("c", "o"))
        before = running_units.pids()
    monkeypatch.setattr(control, "VERSION", control.VERSION + 1)
    monkeypatch.setattr(apart, "PATIENCE", 3.0)
    # What the service manager starts instead is of the same old version here.
    newer = main_process(tmp_path)
    with pytest.raises(NoWorkerError):
        await newer.__aenter__()
    assert first.journal(recording).complete
    assert not before & running_units.pids()


async def test_a_worker_that_does_not_answer_is_told_of_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = [100.0]
    monkeypatch.setattr(apart, "monotonic", lambda: time[0])
    hello = control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=2.0)
    workers = apart.Apart(tmp_path, hello, places=1)
    told = []
    with structlog.testing.capture_logs() as log:
        for after in (0.0, 1.9, 0.2, 30.0, 30.0, 59.0, 1.0):
            time[0] += after
            assert await workers._look() == []
            told.append(len(log))
    # A restart takes two seconds at most; then it is a line a minute.
    assert told == [0, 0, 1, 1, 2, 2, 3]
    assert log[0]["event"] == "media_worker_unreachable"
    assert log[0]["socket"] == "media-0.sock"
    assert "cannot be reached" in log[0]["reason"]


async def test_somebody_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "PATIENCE", 0.1)
    with pytest.raises(NoWorkerError, match="No media worker"):
        await main_process(tmp_path).__aenter__()
