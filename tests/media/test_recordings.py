import json
import os
import resource
import signal
from pathlib import Path

import pytest

from agent.common.clock import monotonic_ns
from agent.common.ids import new_id
from agent.common.memory import MemoryRefusedError
from agent.formats.journal import PacketRecord
from agent.media import recordings as module
from agent.media.events import (
    MemoryRefused,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    WorkerReady,
)
from agent.media.tap import BLOCK_NS
from tests.media.pairs import FIRST, notes, packets, talk
from tests.media.phones import Phone, Site, audio_bytes, note_kinds, site


async def test_nothing_is_on_disk_before_the_grant(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"), grant=False)
    said = [customer.say(audio_bytes(n)) for n in range(5)]
    await officer.hear_many(5)
    assert list(running.journals.iterdir()) == []
    running.pool.grant_journal(recording)
    opened = await running.event(RecordingOpened)
    assert opened.path == str(running.journals / f"{recording}.0.journal")
    running.pool.mark(recording, b'{"type":"mark","kind":"hold"}')
    running.pool.stop_recording(recording, b'{"type":"end"}')
    closed = await running.event(RecordingClosed)
    journal = running.journal(recording)
    assert journal.complete
    assert packets(journal, 0) == said
    assert note_kinds(notes(journal)) == ["begin", "hold", "end"]
    assert (closed.packets, closed.blocks) == (5, journal.blocks)
    assert closed.bytes == os.stat(closed.path).st_size  # noqa: PTH116


async def test_what_is_not_tapped_is_not_journalled(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    before = customer.say(b"before")
    await officer.hear()
    running.pool.tap(recording, "c", on=False, at_ns=monotonic_ns())
    await running.settle()
    customer.say(b"held")
    await officer.hear()
    running.pool.tap(recording, "c", on=True, at_ns=monotonic_ns())
    after = customer.say(b"after")
    await officer.hear()
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    customer.say(b"too late")
    assert packets(running.journal(recording), 0) == [before, after]


async def test_a_recording_may_begin_untapped(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"), tapped=False)
    for n in range(3):
        customer.say(audio_bytes(n))
    await officer.hear_many(3)
    running.pool.tap(recording, "c", on=True, at_ns=monotonic_ns())
    after = customer.say(b"after")
    await officer.hear()
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert packets(running.journal(recording), 0) == [after]


async def test_arrival_decides_what_a_stalled_worker_journals(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    (worker,) = running.pool.worker_pids
    os.kill(worker, signal.SIGSTOP)
    try:
        before = [customer.say(b"before 1"), customer.say(b"before 2")]
        begun = monotonic_ns()
        customer.say(b"secret 1")
        running.pool.tap(recording, "c", on=False, at_ns=begun)
        running.pool.flush()
        customer.say(b"secret 2")
        ended = monotonic_ns()
        running.pool.tap(recording, "c", on=True, at_ns=ended)
        running.pool.flush()
        after = customer.say(b"after")
    finally:
        os.kill(worker, signal.SIGCONT)
    heard = [packet.payload for packet in await officer.hear_many(5)]
    assert heard == [b"before 1", b"before 2", b"secret 1", b"secret 2", b"after"]
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    journal = running.journal(recording)
    assert packets(journal, 0) == [*before, after]
    arrivals = [r.arrival_ns for r in journal.records if isinstance(r, PacketRecord)]
    assert max(arrivals[:2]) < begun < ended <= arrivals[2]


async def test_what_a_stalled_worker_takes_stands_in_one_of_two_recordings(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    first = await running.record(("c", "o"))
    second = new_id()
    (worker,) = running.pool.worker_pids
    said = [customer.say(audio_bytes(n)) for n in range(2)]
    await officer.hear_many(2)
    os.kill(worker, signal.SIGSTOP)
    try:
        said += [customer.say(audio_bytes(n)) for n in range(2, 4)]
        at_ns = monotonic_ns()
        running.pool.stop_recording(first, b"{}")
        running.pool.flush()
        late = [customer.say(audio_bytes(n)) for n in range(4, 7)]
        running.begin(second, ("c", "o"), since_ns=at_ns)
        running.pool.flush()
        late.append(customer.say(audio_bytes(7)))
    finally:
        os.kill(worker, signal.SIGCONT)
    await officer.hear_many(6)
    running.pool.grant_journal(second)
    await running.event(RecordingClosed)
    running.pool.stop_recording(second, b"{}")
    await running.event(RecordingClosed, lambda e: e.recording == second)
    one, two = running.journal(first), running.journal(second)
    assert (packets(one, 0), packets(two, 0)) == (said, late)
    arrivals = [r.arrival_ns for r in two.records if isinstance(r, PacketRecord)]
    assert min(arrivals) >= at_ns


@pytest.mark.parametrize("read", [False, True])
async def test_what_a_dying_worker_has_not_moved_stands_in_one_of_two_recordings(
    running: Site, customer: Phone, officer: Phone, *, read: bool
) -> None:
    """It was told that one follows the other, and dies before it does anything.

    What came since the end it has `read` already, as of the first one, or not.
    """
    await talk(running, customer, officer)
    first = await running.record(("c", "o"))
    second = new_id()
    (worker,) = running.pool.worker_pids
    said = [customer.say(audio_bytes(n)) for n in range(4)]
    await officer.hear_many(4)
    at_ns = monotonic_ns()
    late = []
    if read:
        late = [customer.say(audio_bytes(n)) for n in range(4, 7)]
        await officer.hear_many(3)
    # What is heard was relayed, and may not be in memory yet.
    await running.settle()
    os.kill(worker, signal.SIGSTOP)
    if not read:
        said += [customer.say(audio_bytes(n)) for n in range(4, 6)]
        at_ns = monotonic_ns()
    running.pool.stop_recording(first, b"{}")
    late += [customer.say(audio_bytes(n)) for n in range(7, 9)]
    running.begin(second, ("c", "o"), since_ns=at_ns)
    running.pool.flush()
    os.kill(worker, signal.SIGKILL)
    await running.event(WorkerReady)
    running.pool.grant_journal(second)
    late.append(customer.say(audio_bytes(9)))
    await running.event(RecordingClosed)
    await running.settle()
    running.pool.stop_recording(second, b"{}")
    await running.event(RecordingClosed, lambda e: e.recording == second)
    assert heard_in(running, first, before_ns=at_ns) == said
    assert heard_in(running, second) == late


def heard_in(running: Site, recording: str, before_ns: int = 1 << 62) -> list[bytes]:
    """What the customer said until then, in all journals of a recording."""
    epochs = sorted(
        int(path.name.split(".")[1]) for path in running.journals.glob(f"{recording}.*")
    )
    return [
        bytes(record.packet)
        for epoch in epochs
        for record in running.journal(recording, epoch).records
        if isinstance(record, PacketRecord)
        and (record.leg, record.arrival_ns < before_ns) == (0, True)
    ]


async def test_a_successor_stays_untapped(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    for leg in ("c", "o"):
        running.pool.tap(recording, leg, on=False, at_ns=monotonic_ns())
    await running.settle()
    os.kill(running.pool.worker_pids[0], signal.SIGKILL)
    await running.event(RecordingOpened, lambda e: e.path.endswith(".1.journal"))
    customer.say(b"secret 1")
    customer.say(b"secret 2")
    await officer.hear_many(2)
    running.pool.tap(recording, "c", on=True, at_ns=monotonic_ns())
    after = customer.say(b"after")
    await officer.hear()
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert packets(running.journal(recording, epoch=1), 0) == [after]
    assert packets(running.journal(recording), 0) == []


async def test_memory_that_a_worker_cannot_map_is_told_once_and_in_the_gap(
    running: Site,
    customer: Phone,
    officer: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No memory at all stands for memory that may not be locked.
    monkeypatch.setattr(
        module, "create_open_block", lambda _: os.open("/dev/null", os.O_RDWR)
    )
    await talk(running, customer, officer)
    recording, other = [await running.record(("c", "o")) for _ in range(2)]
    refused = await running.event(MemoryRefused)
    assert refused.recording == recording
    assert refused.reason
    started_ns = monotonic_ns() - 2 * BLOCK_NS
    for memory in running.pool._recordings._recordings.values():
        memory.started_ns = started_ns
    os.kill(running.pool.worker_pids[0], signal.SIGKILL)
    for name in (recording, other):
        await running.event(
            RecordingOpened, lambda e, name=name: e.path.endswith(f"{name}.1.journal")
        )
    assert len(running.told(MemoryRefused)) == 1
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    marks = [json.loads(note) for note in notes(running.journal(recording, 1))[1:3]]
    begin, end = (mark["at_monotonic_ns"] for mark in marks)
    # Whatever block was open is gone with its worker.
    assert end - begin >= BLOCK_NS


async def test_memory_that_main_cannot_make_is_told(
    running: Site,
    customer: Phone,
    officer: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: int) -> int:
        raise MemoryRefusedError("none.")

    monkeypatch.setattr(module, "create_open_block", refuse)
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    refused = await running.event(MemoryRefused)
    assert refused.recording == recording
    assert "LimitMEMLOCK" in refused.reason


async def test_a_full_disk_ends_the_recording_and_not_the_call(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    (worker,) = running.pool.worker_pids
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    for n in range(10):
        customer.say(audio_bytes(n))
    await officer.hear_many(10)
    running.pool.mark(recording, b"{}")
    failed = await running.event(RecordingFailed)
    assert (failed.recording, failed.reason) == (recording, "EFBIG")
    running.pool.stop_recording(recording, b"{}")
    customer.say(b"goes on")
    assert (await officer.hear()).payload == b"goes on"
    assert len(running.told(RecordingFailed)) == 1
    assert running.told(RecordingClosed) == []
    # What reached the disk before stays readable.
    assert notes(running.journal(recording)) == [b'{"type":"begin"}']


async def test_recordings_that_cannot_begin(running: Site, customer: Phone) -> None:
    await running.connect("call", "c", customer)
    await running.record(("c", "nobody"), grant=False)
    assert (await running.event(RecordingFailed)).reason == "no-leg"
    running.pool.start_recording(
        "not-a-uuid",
        legs=("c", "c"),
        journal_key=b"",
        key_id=b"",
        begin=b"",
        tapped=(True, True),
    )
    assert (await running.event(RecordingFailed)).reason == "bad-header"
    running.pool.start_recording(
        "long",
        legs=("c", "c"),
        journal_key=b"",
        key_id=b"",
        begin=bytes(200_000),
        tapped=(True, True),
    )
    assert (await running.event(RecordingFailed)).reason == "note-too-long"


async def test_stopping_closes_journals(
    tmp_path: Path, customer: Phone, officer: Phone
) -> None:
    async with site(tmp_path, ports=(FIRST, FIRST + 99)) as running:
        await talk(running, customer, officer)
        recording = await running.record(("c", "o"))
        (worker,) = running.pool.worker_pids
    journal = running.journal(recording)
    assert journal.complete
    assert note_kinds(notes(journal)) == ["begin", "agent-stopped"]
    assert (await running.event(RecordingClosed)).recording == recording
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert list((tmp_path / "run").iterdir()) == []


async def test_what_is_said_of_a_recording_that_is_not_there_is_void(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert running.pool.stats.recordings == 0
    told = len(running.events)
    running.pool.grant_journal(recording)
    running.pool.mark(recording, b"{}")
    running.pool.tap(recording, "c", on=False, at_ns=monotonic_ns())
    running.pool.stop_recording(recording, b"{}")
    customer.say(b"goes on")
    assert (await officer.hear()).payload == b"goes on"
    assert len(running.events) == told
