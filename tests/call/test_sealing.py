"""Sealing by itself; what a call makes of it is in test_recorder.py."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.call.open_segment import OpenSegment
from agent.call.sealing import FinishingBehindError, Sealing
from agent.common.ids import new_id
from agent.model.call import EndCause, Outcome
from agent.model.recording import SegmentEnd
from agent.recording.finisher import Finished, FinisherError, FinishJob
from agent.recording.ledger import Ledger
from tests.call.party import until


class Finishers:
    """Finish when they are let; `stand` is what holds them up."""

    workers = 1

    def __init__(self) -> None:
        self.finished: list[int] = []
        self.go = asyncio.Event()
        self.errors: list[Exception] = []
        self.unindexed = ""

    async def finish(self, job: FinishJob) -> Finished:
        await self.go.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.finished.append(job.end.ended_at)
        return Finished(
            recording_id=job.recording_id, outcome="recorded", duration_ms=1, size=1,
            lost=0, unindexed=self.unindexed,
        )  # fmt: skip


class Uploads:
    def __init__(self) -> None:
        self.notified: list[str] = []

    def notify(self, recording_id: str) -> None:
        self.notified.append(recording_id)


class Bench:
    """A sealing with three waiting as the alarm, and one as its end."""

    def __init__(self, ledger: Ledger, *, max_waiting: int = 3) -> None:
        self.finishers = Finishers()
        self.uploads = Uploads()
        self.sealing = Sealing(
            finishers=self.finishers,
            ledger=ledger,
            uploader=self.uploads,
            max_waiting=max_waiting,
            cleared=max_waiting - 1,
        )
        self.sealing.start()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"k" * 32)
    await ledger.start()
    yield ledger
    await ledger.close()


@pytest.fixture
async def bench(ledger: Ledger) -> AsyncIterator[Bench]:
    bench = Bench(ledger)
    yield bench
    await bench.sealing.stop()


def segment(ended_at: int) -> OpenSegment:
    closed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    closed.set_result(True)
    return OpenSegment(
        recording_id=new_id(),
        call_id=new_id(),
        key_id=bytes(8),
        recipient="age1",
        journal_key=bytes(32),
        journals=[Path(f"/spool/journal/{new_id()}.0.journal")],
        end=SegmentEnd(
            ended_at=ended_at,
            ended_monotonic_ns=ended_at,
            cause=EndCause.CALLER_HANGUP,
            outcome=Outcome.RECORDED,
        ),
        closed=closed,
    )


async def test_the_oldest_first(bench: Bench) -> None:
    for ended_at in (5, 9, 7, 8, 6):
        await bench.sealing.add(segment(ended_at))
    assert (bench.sealing.waiting, bench.sealing.waiting_since()) == (5, 5)
    bench.finishers.go.set()
    await bench.sealing.emptied()
    assert bench.finishers.finished == [5, 6, 7, 8, 9]
    assert len(bench.uploads.notified) == 5
    assert bench.sealing.waiting_since() is None


async def test_beyond_a_number_that_waits_no_recording_begins(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for ended_at in range(2):
        await bench.sealing.add(segment(ended_at))
    bench.sealing.check()
    for ended_at in range(2, 5):
        await bench.sealing.add(segment(ended_at))
    with pytest.raises(FinishingBehindError, match="5 recordings wait"):
        bench.sealing.check()
    bench.finishers.go.set()
    await bench.sealing.emptied()
    bench.sealing.check()
    log = capsys.readouterr().out
    assert log.count("finishing_behind") == 1
    assert log.count("finishing_caught_up") == 1
    # All that had been captured was sealed: only new recordings are refused.
    assert len(bench.finishers.finished) == 5


async def test_a_full_disk_is_everybodys_and_asked_by_one(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for ended_at in range(3):
        await bench.sealing.add(segment(ended_at))
    bench.finishers.errors = [OSError(28, "No space left on device")]
    bench.finishers.go.set()
    await until(lambda: not bench.finishers.errors)
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.finishers.finished == []
    assert capsys.readouterr().out.count("finishing_failed") == 1


async def test_what_kills_finishers_holds_up_nobody(bench: Bench) -> None:
    for ended_at in range(3):
        await bench.sealing.add(segment(ended_at))
    bench.finishers.errors = [FinisherError("a finisher died twice.")]
    bench.finishers.go.set()
    await until(lambda: bench.finishers.finished == [1, 2])
    assert bench.sealing.waiting == 1


async def test_memory_for_what_waits_is_a_few_kilobytes_each(ledger: Ledger) -> None:
    bench = Bench(ledger, max_waiting=10_000)
    await bench.sealing.add(segment(0))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for ended_at in range(1, 501):
        await bench.sealing.add(segment(ended_at))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 500 < 4096
    assert len(asyncio.all_tasks()) < 10
    await bench.sealing.stop()


async def test_a_segment_that_has_not_ended(bench: Bench) -> None:
    open_one = segment(1)
    open_one.end = None
    with pytest.raises(ValueError, match="not ended"):
        await bench.sealing.add(open_one)


async def test_a_missing_index_key_is_an_alarm(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.finishers.unindexed = "2026-12"
    bench.finishers.go.set()
    await bench.sealing.add(segment(0))
    await bench.sealing.emptied()
    assert "index_key_missing" in capsys.readouterr().out
