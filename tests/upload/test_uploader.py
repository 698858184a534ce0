import asyncio
import os
from collections.abc import Sequence
from hashlib import sha256

import pytest
import structlog.testing

from agent.common.errors import AgentError
from agent.recording.database import LedgerError
from agent.recording.dispatch import NotReadyError
from agent.recording.spool import UPLOADS, SealedObject, Spool
from agent.upload import uploader as uploader_module
from agent.upload.backend import (
    ObjectDamagedError,
    ObjectExistsError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.retry import LONGEST
from agent.upload.target_line import CONCURRENCY
from tests.upload.upload_bench import IDS, ONE, Bench, Storage, seal


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting takes no time; returns how long it would have been."""
    waited: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        if seconds:
            waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("agent.upload.uploader.asyncio.sleep", at_once)
    return waited


# -- one recording ------------------------------------------------------------------


async def test_what_is_under_way_for_too_long_is_made_ready_anew(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    seal(spool, ONE)
    asked = 0
    objects_of = bench.uploader._objects_of

    async def once_without_end(recording_id: str) -> Sequence[SealedObject]:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        return await objects_of(recording_id)

    monkeypatch.setattr(bench.uploader, "_objects_of", once_without_end)
    monkeypatch.setattr(uploader_module, "UNDER_WAY", 0.01)
    with pytest.raises(OSError):  # noqa: PT011 - as a storage that is away
        await bench.uploader.store(ONE)
    monkeypatch.undo()
    await bench.uploader.store(ONE)
    assert spool.list_sealed() == []


async def test_put_verify_tell_purge_in_this_order(spool: Spool) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    wanted = seal(spool, ONE)
    await bench.uploader.store(ONE)
    assert storage.log == [
        "state put keys",
        "state put done keys",
        "state holds keys",
        "locked put audio",
        "locked put done audio",
        "locked holds audio",
        "stored",
        "purged",
    ]
    assert storage.objects == wanted
    assert spool.list_sealed() == []
    assert bench.told == ["stored 1", "purged 1"]


STEPS = [
    "state put keys",
    "state put done keys",
    "state holds keys",
    "locked put audio",
    "locked put done audio",
    "locked holds audio",
]


@pytest.mark.parametrize("step", STEPS)
async def test_storage_that_fails_at_any_step_and_works_later(
    spool: Spool, step: str
) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    wanted = seal(spool, ONE)
    storage.fail = lambda now: StorageError("away.") if now == step else None
    with pytest.raises(StorageError, match="away"):
        await bench.uploader.store(ONE)
    assert spool.is_sealed(ONE)
    assert bench.told == []
    storage.fail = lambda _step: None
    # A restart: nothing is remembered, storage says what it has.
    bench = Bench(spool, storage)
    await bench.uploader.store(ONE)
    assert storage.objects == wanted
    assert not spool.is_sealed(ONE)
    assert bench.told == ["stored 1", "purged 1"]


async def test_the_same_object_there_already_is_success(spool: Spool) -> None:
    storage = Storage()
    wanted = seal(spool, ONE)
    for key, data in wanted.items():
        place = storage.state if key.startswith("keys") else storage.locked
        place.objects[key] = data
    await Bench(spool, storage).uploader.store(ONE)
    assert storage.objects == wanted
    assert not spool.is_sealed(ONE)


@pytest.mark.parametrize("other", [b"", b"other", b"x" * 10_000])
async def test_other_bytes_there_are_neither_overwritten_nor_believed(
    spool: Spool, other: bytes
) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    key = next(key for key in seal(spool, ONE) if key.startswith("audio"))
    storage.locked.objects[key] = other
    with pytest.raises(ObjectExistsError, match="other bytes"):
        await bench.uploader.store(ONE)
    assert storage.locked.objects[key] == other
    assert spool.is_sealed(ONE)
    assert bench.told == []


async def test_storage_that_alters_what_it_takes(spool: Spool) -> None:
    storage = Storage()
    seal(spool, ONE)

    def alter(step: str) -> None:
        if step == "locked put done audio":
            [key] = storage.locked.objects
            storage.locked.objects[key] = storage.locked.objects[key][:-1] + b"?"

    storage.fail = alter
    with pytest.raises(ObjectDamagedError):
        await Bench(spool, storage).uploader.store(ONE)
    assert spool.is_sealed(ONE)


@pytest.mark.parametrize("what", ["stored", "purged"])
async def test_a_ledger_that_cannot_be_told(spool: Spool, what: str) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    seal(spool, ONE)
    bench.fail_on = what
    with pytest.raises(LedgerError):
        await bench.uploader.store(ONE)
    bench.fail_on = ""
    await bench.uploader.store(ONE)
    assert bench.told == ["stored 1", "purged 1"]


# -- the queue ----------------------------------------------------------------------


async def test_what_waits_and_what_comes(spool: Spool) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    wanted = seal(spool, IDS[0])
    for _ in range(2):
        bench.uploader.notify(IDS[0])
    assert bench.uploader.pending == 1

    def more() -> bool:
        if bench.uploader.stored == 1 and len(wanted) == 2:
            wanted.update(seal(spool, IDS[2]))
            bench.uploader.notify(IDS[2])
        return bench.uploader.stored == 2

    await bench.run_until(more)
    assert storage.objects == wanted
    assert bench.uploader.pending == 0
    assert bench.uploader.failures == 0


async def test_how_long_the_oldest_has_waited(spool: Spool) -> None:
    uploader = Bench(spool, Storage()).uploader
    assert uploader.waiting_since() is None
    for age, recording_id in enumerate((IDS[2], ONE), start=7):
        seal(spool, recording_id)
        os.utime(spool.sealed_path(recording_id, "upload.json"), ns=(0, age))
        uploader.notify(recording_id)
    assert uploader.waiting_since() == 7
    spool.purge(IDS[2])
    assert uploader.waiting_since() == 8


async def test_storage_away_for_a_while(
    spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    wanted = {}
    for recording_id in IDS:
        wanted.update(seal(spool, recording_id))

    def away(_step: str) -> AgentError | None:
        return StorageError("away.") if len(bench.waited) < 40 else None

    storage.fail = away
    await bench.run_until(lambda: bench.uploader.stored == len(IDS))
    assert storage.objects == wanted
    assert spool.list_sealed() == []
    # Together at first; then one at a time asks for all.
    assert bench.uploader.failures == CONCURRENCY + 39
    assert 140 <= max(bench.waited) <= 300
    log = capsys.readouterr().out
    assert log.count("storing_failed") == bench.uploader.failures
    assert log.count("storage_back") == 1
    # The one that found storage back was due by chance; the others go by their age.
    stored = [told for told in bench.told if told.startswith("stored")][1:]
    moved = [abs(n - sorted(stored).index(told)) for n, told in enumerate(stored)]
    assert max(moved) < CONCURRENCY


async def test_the_waits_of_an_outage_are_shared(spool: Spool) -> None:
    """Ten recordings that fail at once are one outage, not ten."""
    storage = Storage()
    bench = Bench(spool, storage)
    for recording_id in IDS:
        seal(spool, recording_id)
    storage.fail = lambda _step: StorageError("away.")
    await bench.run_until(lambda: bench.uploader.failures >= CONCURRENCY)
    assert bench.uploader.lines[0]._line.failures == 1
    assert bench.uploader.away


async def test_what_only_one_recording_runs_into_is_no_outage_for_long(
    spool: Spool,
) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    for recording_id in IDS:
        seal(spool, recording_id)
    gone = spool.sealed_path(IDS[0], f"{IDS[0]}.wav.age")
    gone.unlink()
    await bench.run_until(lambda: bench.uploader.stored == len(IDS) - 1)
    assert spool.list_sealed() == [IDS[0]]
    assert sum(bench.waited) < 5


async def test_one_recording_that_cannot_be_stored_holds_up_no_other(
    spool: Spool,
) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    stuck = IDS[: CONCURRENCY + 1]
    for recording_id in stuck:
        for key in seal(spool, recording_id):
            if key.startswith("audio"):
                storage.locked.objects[key] = b"somebody else's"
    seal(spool, IDS[8])
    spool.sealed_path(IDS[8], UPLOADS).write_bytes(b"damaged")
    wanted = seal(spool, IDS[9])
    await bench.run_until(lambda: bench.uploader.stored == 1)
    assert storage.objects.items() >= wanted.items()
    assert set(spool.list_sealed()) == {*stuck, IDS[8]}


async def test_what_is_permanent_is_looked_at_again(spool: Spool) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    wanted = seal(spool, ONE)
    key = next(key for key in wanted if key.startswith("audio"))
    storage.locked.objects[key] = b"somebody else's"

    def removed() -> bool:
        if bench.waited and storage.locked.objects.get(key) == b"somebody else's":
            del storage.locked.objects[key]
        return bench.uploader.stored == 1

    await bench.run_until(removed)
    assert storage.objects == wanted
    assert bench.waited == [pytest.approx(LONGEST, abs=1)]


async def test_storage_that_denies_us_is_away_for_all(spool: Spool) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    for recording_id in IDS:
        seal(spool, recording_id)
    storage.fail = lambda _step: StorageDeniedError("no.")
    await bench.run_until(lambda: len(bench.waited) == 12)
    assert bench.uploader.failures <= CONCURRENCY + 12


# -- notices ------------------------------------------------------------------------


async def test_notices_are_kept_as_evidence(spool: Spool, hurry: list[float]) -> None:
    first, second = Storage(), Storage()
    bench = Bench(spool, first, second)
    second.fail = lambda _step: StorageError("away.") if len(hurry) < 3 else None
    data = b"RIFF notice"
    digest = sha256(data).hexdigest()
    for _ in range(2):
        await bench.uploader.ensure_notice(digest, data)
    for storage in (first, second):
        assert storage.locked.objects == {f"notices/{digest}.wav": data}
        assert storage.state.objects == {}
    assert len(hurry) == 3


async def test_a_storage_in_doubt_is_told_of_once_it_takes_something(
    spool: Spool,
) -> None:
    first, second = Storage(), Storage()
    bench = Bench(spool, first, second)
    doubted = bench.uploader.lines[1].target
    bench.uploader.doubt(doubted)
    data = b"RIFF notice"
    with structlog.testing.capture_logs() as log:
        for _ in range(2):
            await bench.uploader.ensure_notice(sha256(data).hexdigest(), data)
    back = [line["storage"] for line in log if line["event"] == "storage_back"]
    assert back == [doubted.name]
    bench.uploader.doubt(doubted)
    seal(spool, ONE)
    with structlog.testing.capture_logs() as log:
        await bench.uploader.store(ONE)
    assert [line["event"] for line in log].count("storage_back") == 1


async def test_what_is_not_ready_to_leave_waits_alone(spool: Spool) -> None:
    storage = Storage()
    bench = Bench(spool, storage)
    wanted = {**seal(spool, ONE), **seal(spool, IDS[2])}
    missing = {ONE}

    async def objects_of(recording_id: str) -> list[SealedObject]:
        if recording_id in missing:
            missing.remove(recording_id)
            raise NotReadyError("there is no day key.")
        return spool.sealed_objects(recording_id)

    bench.uploader._objects_of = objects_of
    await bench.run_until(lambda: bench.uploader.stored == 2)
    assert storage.objects == wanted
    assert bench.told[0] == "stored 2"
    assert bench.uploader.failures == 1
