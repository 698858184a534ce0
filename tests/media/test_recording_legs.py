"""Recordings of legs that are neither bridged nor played to: a recording session's."""

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.common.clock import monotonic_ns
from agent.formats.journal import PacketRecord
from agent.formats.journal_reading import Journal
from agent.media.events import (
    LegClosed,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    WorkerLost,
    WorkerReady,
)
from agent.model.media import Direction, Latch
from agent.model.recording import MAX_LEGS, Channel, SegmentMark
from tests.media.pairs import FIRST, notes, packets
from tests.media.phones import KEY, Phone, Site, audio_bytes, note_kinds, site

CALL = "call"


@pytest.fixture
def clients() -> Iterator[list[Phone]]:
    """What a recording client sends, stream by stream."""
    with ExitStack() as stack:
        yield [stack.enter_context(Phone(ssrc=0xA0 + n)) for n in range(4)]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, ports=(FIRST, FIRST + 99)) as running:
        yield running


async def open_deaf(running: Site, leg: str, phone: Phone) -> None:
    phone.agent = await running.pool.open_leg(CALL, leg, deaf=True)
    phone.before_sending = running.pool.flush
    audio = phone.negotiated(direction=Direction.RECVONLY)
    running.pool.configure(leg, audio, latch=Latch.ADDRESS)


async def receive(running: Site, clients: list[Phone], count: int) -> tuple[str, ...]:
    names = tuple(f"s{number}" for number in range(count))
    for name, phone in zip(names, clients, strict=False):
        await open_deaf(running, name, phone)
    return names


def joins(**changes: object) -> SegmentMark:
    made: dict[str, object] = {
        "at_monotonic_ns": monotonic_ns(),
        "kind": "stream",
        "channel": Channel.BOTH,
        "codecs": {"": {"8": "PCMA"}},
    }
    return SegmentMark(**(made | changes))  # type: ignore[arg-type]


def arrivals(journal: Journal) -> list[int]:
    return sorted(
        record.arrival_ns
        for record in journal.records
        if isinstance(record, PacketRecord)
    )


async def ended(running: Site, recording: str) -> None:
    running.pool.stop_recording(recording, b'{"type":"end"}')
    await running.event(RecordingClosed, lambda e: e.recording == recording)


async def test_what_came_before_the_recording_is_in_it(
    running: Site, clients: list[Phone]
) -> None:
    """A client may send as soon as it can guess, and before our 200 reaches it."""
    legs = await receive(running, clients, 2)
    begun = monotonic_ns()
    early = [[phone.say(audio_bytes(n)) for n in range(20)] for phone in clients[:2]]
    await running.pool.open_leg("another", "x")  # a while later
    before = monotonic_ns()
    recording = await running.record(legs)
    late = [[phone.say(audio_bytes(n)) for n in range(9)] for phone in clients[:2]]
    await running.settle()
    await ended(running, recording)
    journal = running.journal(recording)
    for leg in range(2):
        assert packets(journal, leg) == early[leg] + late[leg]
    # Those as of when they arrived, not as of when they were read.
    assert begun < arrivals(journal)[0] < arrivals(journal)[39] < before


async def test_what_waits_for_a_recording_outlives_the_worker(
    running: Site, clients: list[Phone]
) -> None:
    legs = await receive(running, clients, 2)
    early = [[phone.say(audio_bytes(n)) for n in range(20)] for phone in clients[:2]]
    await running.settle()
    os.kill(running.pool.worker_pids[0], signal.SIGKILL)
    await running.event(WorkerReady)
    await running.settle()
    before = monotonic_ns()
    recording = await running.record(legs)
    await running.settle()
    await ended(running, recording)
    journal = running.journal(recording)
    assert [packets(journal, leg) for leg in range(2)] == early
    assert arrivals(journal)[-1] < before


async def test_a_leg_that_nothing_records_may_be_told_to_listen(
    running: Site, clients: list[Phone]
) -> None:
    await receive(running, clients, 1)
    clients[0].say(b"one")
    clients[0].say(b"two")
    running.pool.listen("s0")
    running.pool.listen("s0")
    running.pool.listen("nobody")
    await running.settle()
    running.pool.close_leg("s0")
    closed = await running.event(LegClosed)
    assert closed.stats.received == 2


async def test_legs_join_and_leave_while_the_others_go_on(
    running: Site, clients: list[Phone]
) -> None:
    legs = await receive(running, clients, 3)
    recording = await running.record(legs)
    said = [[phone.say(b"a"), phone.say(b"b")] for phone in clients[:3]]
    await running.settle()
    await open_deaf(running, "late", clients[3])
    first = [clients[3].say(b"before it was told"), clients[3].say(b"too")]
    assert running.pool.add_leg(recording, "late", joins()) == 3
    # Told once, whoever asks again.
    assert running.pool.add_leg(recording, "late", joins()) == 3
    running.pool.tap(recording, "s1", on=False, at_ns=monotonic_ns())
    running.pool.close_leg("s1")
    await running.event(LegClosed)
    clients[1].say(b"to nobody")
    said[0].append(clients[0].say(b"c"))
    first.append(clients[3].say(b"c"))
    await running.settle()
    await ended(running, recording)
    journal = running.journal(recording)
    assert [packets(journal, leg) for leg in range(4)] == [*said, first]
    told = [json.loads(note) for note in notes(journal)]
    assert [one.get("kind") or one["type"] for one in told] == [
        "begin",
        "stream",
        "end",
    ]
    assert (told[1]["leg"], told[1]["codecs"]) == (3, {"3": {"8": "PCMA"}})
    assert running.pool.add_leg(recording, "late", joins()) is None


async def test_a_worker_dies_and_its_successor_has_every_leg(
    running: Site, clients: list[Phone]
) -> None:
    legs = await receive(running, clients, 2)
    recording = await running.record(legs)
    await open_deaf(running, "late", clients[2])
    assert running.pool.add_leg(recording, "late", joins()) == 2
    before = [[phone.say(b"a"), phone.say(b"b")] for phone in clients[:3]]
    await running.settle()
    os.kill(running.pool.worker_pids[0], signal.SIGKILL)
    await running.event(RecordingOpened, lambda e: e.path.endswith(".1.journal"))
    after = [[phone.say(b"c"), phone.say(b"d")] for phone in clients[:3]]
    await running.settle()
    await ended(running, recording)
    journal = running.journal(recording, 1)
    # Told before what was left in memory; where that has the note too, twice.
    kinds = list(dict.fromkeys(note_kinds(notes(journal))))
    assert kinds == ["begin", "stream", "gap-begin", "gap-end", "end"]
    # All that was in memory, too: nothing had been written of it.
    heard = [running.journal(recording, 0), journal]
    for leg in range(3):
        found = [packet for one in heard for packet in packets(one, leg)]
        assert found == before[leg] + after[leg]


async def test_all_processes_die_and_every_leg_goes_on(
    tmp_path: Path, clients: list[Phone]
) -> None:
    ports = FIRST, FIRST + 99
    async with site(tmp_path, ports=ports) as before:
        legs = await receive(before, clients, 2)
        recording = await before.record(legs)
        await open_deaf(before, "late", clients[2])
        await open_deaf(before, "waiting", clients[3])
        before.pool.add_leg(recording, "late", joins())
        before.pool.tap(recording, "s1", on=False, at_ns=monotonic_ns())
        state = before.pool.state_of(CALL)
        os.kill(before.pool.worker_pids[0], signal.SIGKILL)
        await before.event(WorkerLost)
    async with site(tmp_path, ports=ports) as after:
        for phone in clients:
            phone.before_sending = after.pool.flush
        await after.pool.resume([state], {recording: KEY})
        assert after.pool.state_of(CALL).legs == state.legs
        await after.event(RecordingOpened)
        said = [[phone.say(b"a"), phone.say(b"b")] for phone in clients]
        await after.settle()
        assert after.pool.add_leg(recording, "waiting", joins()) == 3
        await ended(after, recording)
        journal = after.journal(recording, 1)
        assert [packets(journal, leg) for leg in range(4)] == [
            said[0],
            [],
            *said[2:],
        ]
        assert note_kinds(notes(journal)).count("stream") == 2


async def test_there_is_room_for_so_many_legs(
    running: Site, clients: list[Phone]
) -> None:
    legs = await receive(running, clients, 1)
    recording = await running.record(legs)
    names = [f"more{number}" for number in range(MAX_LEGS)]
    for name in names:
        await running.pool.open_leg(CALL, name)
    await running.pool.open_leg("another", "elsewhere")
    given = [running.pool.add_leg(recording, name, joins()) for name in names]
    assert given == [*range(1, MAX_LEGS), None]
    assert running.pool.add_leg(recording, "nobody", joins()) is None
    for refused in (tuple(names) + legs, ()):
        name = await running.record(refused, grant=False)
        failed = await running.event(RecordingFailed)
        assert (failed.recording, failed.reason) == (name, "no-leg")
    await ended(running, recording)
