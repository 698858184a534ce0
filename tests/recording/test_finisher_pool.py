import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.formats.blind_index import IndexKeys
from agent.recording import finisher_pool
from agent.recording.finisher import FinisherError
from agent.recording.finisher_pool import NICE, FinisherPool
from agent.recording.spool import Spool
from tests.recording.segments import write_segment


@pytest.fixture
async def pool(spool: Spool) -> AsyncIterator[FinisherPool]:
    pool = FinisherPool(spool)
    await pool.start()
    yield pool
    await pool.close()


def pids(pool: FinisherPool) -> list[int]:
    return [process._pid for process in pool._processes]


async def test_a_pool_finishes_many(pool: FinisherPool, spool: Spool) -> None:
    segments = [write_segment(spool, frames=5) for _ in range(5)]
    done = await asyncio.gather(*(pool.finish(s.job(spool)) for s in segments))
    assert [finished.recording_id for finished in done] == [s.id for s in segments]
    [pid] = pids(pool)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) >= min(19, ours + NICE)


async def test_index_keys_reach_the_processes_and_no_disk(
    pool: FinisherPool, spool: Spool
) -> None:
    key = bytes(range(32))
    for month, indexed in (("2026-11", True), ("2026-12", False)):
        pool.index = IndexKeys({month: key})  # as SIGHUP has it
        segment = write_segment(spool, frames=5)
        finished = await pool.finish(segment.job(spool))
        assert finished.unindexed == ("" if indexed else "2026-11")
    for path in spool.root.rglob("*"):
        if path.is_file():
            assert key not in path.read_bytes()
            assert key.hex().encode() not in path.read_bytes()


async def test_a_process_is_renewed_after_so_many_jobs(
    pool: FinisherPool, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finisher_pool, "JOBS_PER_PROCESS", 3)
    first = pids(pool)
    jobs = [write_segment(spool, frames=5).job(spool) for _ in range(4)]
    for job in jobs[:3]:
        await pool.finish(job)
    assert pids(pool) == first
    await pool.finish(jobs[3])
    assert pids(pool) != first


async def test_each_process_has_one_job_at_a_time(spool: Spool) -> None:
    pool = FinisherPool(spool, workers=2)
    await pool.start()
    first, second = pids(pool)
    os.kill(first, signal.SIGSTOP)
    jobs = [write_segment(spool, frames=5).job(spool) for _ in range(6)]
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(pool.finish(job)) for job in jobs]
    # One hangs; the others are finished beside it.
    while sum(task.done() for task in tasks) < 5:
        await asyncio.wait(
            [t for t in tasks if not t.done()], return_when="FIRST_COMPLETED"
        )
    os.kill(first, signal.SIGCONT)
    await asyncio.gather(*tasks)
    assert pids(pool) == [first, second]
    await pool.close()


async def test_a_process_that_stands_still_is_replaced(
    pool: FinisherPool,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = finisher_pool.STALLED_SECONDS
    kill = finisher_pool._Process.kill

    def kill_once(process: finisher_pool._Process) -> None:
        # The next one may take longer to start than this one was given.
        monkeypatch.setattr(finisher_pool, "STALLED_SECONDS", usual)
        kill(process)

    monkeypatch.setattr(finisher_pool._Process, "kill", kill_once)
    monkeypatch.setattr(finisher_pool, "STALLED_SECONDS", 0.5)
    [stalled] = pids(pool)
    os.kill(stalled, signal.SIGSTOP)
    segment = write_segment(spool, frames=5)
    finished = await pool.finish(segment.job(spool))
    assert (finished.outcome, finished.salvaged) == ("recorded", "")
    assert pids(pool) != [stalled]
    assert capsys.readouterr().out.count("finisher_stalled") == 1


async def test_a_finisher_cannot_be_dumped(pool: FinisherPool) -> None:
    loop = asyncio.get_running_loop()
    # PR_GET_DUMPABLE is 3.
    asked = "__import__('ctypes').CDLL(None).prctl(3, 0, 0, 0, 0)"
    executor = pool._processes[0]._executor
    assert await loop.run_in_executor(executor, eval, asked) == 0


async def test_a_pool_survives_its_processes_death(
    pool: FinisherPool, spool: Spool
) -> None:
    segments = [write_segment(spool, frames=5) for _ in range(3)]
    [pid] = pids(pool)
    os.kill(pid, signal.SIGKILL)
    done = await asyncio.gather(*(pool.finish(s.job(spool)) for s in segments))
    assert {finished.outcome for finished in done} == {"recorded"}
    assert pids(pool) != [pid]


async def test_a_job_that_kills_two_processes_is_told(
    pool: FinisherPool, spool: Spool
) -> None:
    segment = write_segment(spool, frames=5)
    job = replace(segment.job(spool), journals=(Deadly(),))  # type: ignore[arg-type]
    with pytest.raises(FinisherError, match="died twice"):
        await pool.finish(job)
    assert (await pool.finish(segment.job(spool))).outcome == "recorded"


class Deadly:
    """Kills whoever unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (1,)


async def test_a_pool_tells_of_what_it_salvaged(
    pool: FinisherPool, spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = write_segment(spool, frames=5)
    os.truncate(spool.journals_of(segment.id)[0], 0)
    assert (await pool.finish(segment.job(spool))).salvaged
    assert "finishing_impossible" in capsys.readouterr().out


async def test_a_pool_that_is_closed(spool: Spool) -> None:
    pool = FinisherPool(spool)
    await pool.close()
    segment = write_segment(spool, frames=5)
    with pytest.raises(FinisherError, match="stopped"):
        await pool.finish(segment.job(spool))


_ORPHAN = """
import asyncio, os, sys
from pathlib import Path
from agent.recording.finisher_pool import FinisherPool
from agent.recording.spool import Spool

async def main():
    pool = FinisherPool(Spool(Path(sys.argv[1])))
    await pool.start()
    print(pool._processes[0]._pid, flush=True)
    sys.stdin.read()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_finisher_does_not_outlive_the_daemon(spool: Spool, tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(_ORPHAN)
    command = [sys.executable, str(script), str(spool.root)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as daemon:  # fmt: skip
        assert daemon.stdout is not None
        finisher = os.pidfd_open(int(daemon.stdout.readline()))
        daemon.kill()
        ended, _, _ = select.select([finisher], [], [], 20)
        os.close(finisher)
    assert ended
