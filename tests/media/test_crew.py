import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.common.clock import monotonic_ns
from agent.formats.journal_reading import read_journal
from agent.media import crew, recordings, supervisor
from agent.media.errors import NoWorkerError
from agent.media.events import (
    LegClosed,
    PlayEnded,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    WorkerLost,
    WorkerReady,
)
from agent.media.life import MISSED
from agent.media.link import WorkerLink
from agent.media.supervisor import Supervisor
from tests.media.pairs import FIRST, NOTICE, continuous, notes, packets, talk
from tests.media.phones import HOST, KEY, Phone, Site, note_kinds, site
from tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine so busy that a worker takes long to begin changes nothing here."""
    monkeypatch.setattr(crew, "READY_SECONDS", PATIENCE)
    monkeypatch.setattr(supervisor, "RESPAWN_WINDOW", 600.0)
    monkeypatch.setattr(recordings, "TWICE_NS", 600 * 10**9)


async def test_both_legs_of_a_call_share_a_worker(tmp_path: Path) -> None:
    async with site(tmp_path, ports=(FIRST, FIRST + 99), workers=2) as running:
        for call in ("one", "two"):
            for leg in ("a", "b"):
                await running.pool.open_leg(call, call + leg)
        pool = running.pool
        places = {leg.name: leg.worker for leg in pool._legs}
        assert places["onea"] == places["oneb"] != places["twoa"] == places["twob"]
        assert pool.workers_up == len(set(pool.worker_pids)) == 2


async def test_a_sound_takes_its_namesakes_place(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(2):
        # Twice the same is once.
        running.pool.add_sound(replace(NOTICE, pcma=b"\x2a" * 160))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    running.pool.play("c", [NOTICE.name])
    assert (await running.event(PlayEnded)).frames == 1


# -- the death of a worker ----------------------------------------------------


async def test_a_killed_worker_is_replaced_under_the_running_call(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    with Phone() as waiting:
        recording = await running.record(("c", "o"))
        first = customer.say(b"before")
        await officer.hear()
        # A packet is passed on first, then recorded: the worker has done with it
        # when it has opened another leg.
        await running.connect("other", "w", waiting)
        running.pool.play("w", ["ringback"], loop=True)
        await waiting.hear()
        running.pool.mark(recording, b'{"type":"mark","kind":"codecs"}')
        (worker,) = running.pool.worker_pids
        os.kill(worker, signal.SIGKILL)
        lost = await running.event(WorkerLost)
        assert set(lost.legs) == {"c", "o", "w"}
        assert lost.recordings == (recording,)
        await running.event(WorkerReady)
        await running.event(RecordingOpened)
        waiting.heard()
        assert (await waiting.hear()).payload
    # The latch was inherited: the same ports, and strangers still kept out.
    with Phone() as stranger:
        stranger.agent = customer.agent
        for _ in range(3):
            stranger.say(b"spoofed")
    said = [customer.say(b"after"), customer.say(b"again")]
    assert [p.payload for p in await officer.hear_many(2)] == [b"after", b"again"]
    officer.say(b"x")
    officer.say(b"y")
    await customer.hear_many(2)
    running.pool.stop_recording(recording, b'{"type":"end"}')
    closed = await running.event(RecordingClosed)
    assert closed.path.endswith(f"{recording}.1.journal")
    one, two = running.journal(recording, 0), running.journal(recording, 1)
    assert not one.complete
    assert two.complete
    assert (one.header.epoch, two.header.epoch) == (0, 1)
    assert one.header.salt != two.header.salt
    # What the dead worker had not written was not its alone.
    assert packets(one, 0) + packets(two, 0) == [first, *said]
    kinds = dict.fromkeys(note_kinds(notes(two)))
    assert list(kinds) == ["begin", "codecs", "gap-begin", "gap-end", "end"]
    gap = [json.loads(note)["at_monotonic_ns"] for note in notes(two)[2:4]]
    assert gap[0] < gap[1]
    assert running.pool.stats.workers_lost == 1


async def test_a_worker_that_is_hung_is_replaced(running: Site) -> None:
    [pid], crew = running.pool.worker_pids, running.pool._crew
    os.kill(pid, signal.SIGSTOP)
    for _ in range(MISSED + 1):
        crew.look()
    assert (await running.event(WorkerLost)).worker == 0
    await running.event(WorkerReady)
    [place] = running.pool.workers
    assert (place.up, place.lost) == (True, 1)
    assert place.seen_ns
    [successor] = running.pool.worker_pids
    assert successor != pid


async def test_a_notice_begins_anew_in_the_next_worker(
    running: Site, customer: Phone
) -> None:
    await running.connect("call", "c", customer)
    token = running.pool.play("c", ["notice"])
    await customer.hear_many(3)
    os.kill(running.pool.worker_pids[0], signal.SIGKILL)
    await running.event(WorkerReady)
    ended = await running.event(PlayEnded)
    assert (ended.token, ended.completed, ended.frames) == (token, True, 11)
    last = customer.heard()[-11:]
    assert b"".join(p.payload for p in last).startswith(NOTICE.pcma)
    assert continuous(last)


async def test_what_is_asked_while_there_is_no_worker(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    other = await running.record(("c", "o"), grant=False)
    os.kill(running.pool.worker_pids[0], signal.SIGKILL)
    await running.event(WorkerLost)
    assert running.pool.workers_up == 0
    pool = running.pool
    pool.stop_recording(recording, b'{"type":"end"}')
    pool.tap(other, "o", on=False, at_ns=0)
    pool.grant_journal(other)
    broken_off = pool.play("c", ["notice"])
    pool.bridge("c", "o")
    stopped = pool.play("o", ["ringback"], loop=True)
    pool.play("o", ["ringback"], loop=True)
    pool.stop_playing("o")
    pool.unbridge("c")
    fresh = pool.open_leg("new", "n")
    pool.close_leg("o")
    assert (await fresh).host == HOST
    # Its end is written by the next worker.
    assert (await running.event(RecordingClosed)).recording == recording
    assert note_kinds(notes(running.journal(recording, 1)))[-2:] == ["gap-end", "end"]
    tokens = {(await running.event(PlayEnded)).token for _ in range(3)}
    assert {broken_off, stopped} < tokens
    assert (await running.event(LegClosed)).leg == "o"
    # Its officer's leg is gone: what there is of the other is kept.
    pool.stop_recording(other, b'{"type":"end"}')
    assert (await running.event(RecordingClosed)).recording == other


async def test_a_worker_that_dies_again_and_again_is_given_up_a_while(
    running: Site,
    customer: Phone,
    officer: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF", 0.5)
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    said = customer.say(b"said before")
    await officer.hear()
    await running.settle()  # it is passed on before it is tapped
    running.pool.play("c", ["ringback"], loop=True)
    await kill_again_and_again(running)
    await running.event(PlayEnded)
    with pytest.raises(NoWorkerError):
        await running.pool.open_leg("new", "n")
    running.pool.play("c", ["notice"])
    assert not (await running.event(PlayEnded)).completed
    await running.record(("c", "o"), grant=False)
    assert (await running.event(RecordingFailed)).reason == "no-worker"
    # After the back-off the call is taken up again, and so is its recording.
    await running.event(WorkerReady)
    await running.settle()
    after = [customer.say(b"a"), customer.say(b"b")]
    assert {(await officer.hear()).payload for _ in range(2)} == {b"a", b"b"}
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    files = sorted(running.journals.glob(f"{recording}.*"))
    journals = [read_journal(path.read_bytes(), KEY) for path in files]
    kept = [packet for journal in journals for packet in packets(journal, 0)]
    assert kept == [said, *after]


async def test_a_recording_whose_workers_die_again_after_a_while_is_given_up(
    running: Site,
    customer: Phone,
    officer: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF", 0.2)
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    await kill_again_and_again(running)
    await running.event(WorkerReady)
    assert not running.told(RecordingFailed)
    await kill_again_and_again(running)
    failed = await running.event(RecordingFailed)
    assert (failed.recording, failed.reason) == (recording, "worker-lost")
    await running.event(WorkerReady)


async def test_a_successor_that_dies_before_it_begins_shortens_no_gap(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    said = customer.say(b"said before")
    await officer.hear()
    await running.settle()  # it is passed on before it is tapped
    pool = running.pool
    os.kill(pool.worker_pids[0], signal.SIGKILL)
    await running.event(WorkerLost)
    lost_ns = monotonic_ns()
    pool._crew._workers[0]._place = kill_at_once(pool._crew._workers[0])  # type: ignore[method-assign]
    await running.event(WorkerLost)
    await running.event(RecordingOpened, lambda e: not e.path.endswith(".0.journal"))
    pool.stop_recording(recording, b"{}")
    closed = await running.event(RecordingClosed)
    journal = read_journal(Path(closed.path).read_bytes(), KEY)
    assert packets(journal, 0) == [said]
    [begin, *_] = [json.loads(n) for n in notes(journal) if b"gap-begin" in n]
    assert begin["at_monotonic_ns"] < lost_ns


async def kill_again_and_again(running: Site) -> None:
    """Until nobody is put in the worker's place."""
    for n in range(supervisor.RESPAWNS):
        os.kill(running.pool.worker_pids[0], signal.SIGKILL)
        await running.event(WorkerLost)
        if n < supervisor.RESPAWNS - 1:
            await running.event(WorkerReady)


def kill_at_once(place: Supervisor) -> Callable[[WorkerLink], None]:
    """The next one is killed before it is told anything."""
    original = place._place

    def killing(link: WorkerLink) -> None:
        place._place = original  # type: ignore[method-assign]
        assert link.pid is not None
        os.kill(link.pid, signal.SIGKILL)
        original(link)

    return killing
