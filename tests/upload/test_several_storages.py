import pytest

from agent.recording.spool import Spool
from agent.upload.backend import (
    StorageError,
)
from tests.upload.upload_bench import IDS, ONE, Bench, Storage, seal


async def test_two_targets_must_both_have_it(spool: Spool) -> None:
    first, second = Storage(), Storage()
    bench = Bench(spool, first, second)
    wanted = seal(spool, ONE)
    second.fail = lambda _step: StorageError("away.")
    with pytest.raises(StorageError):
        await bench.uploader.store(ONE)
    assert first.objects == wanted
    assert bench.told == []
    assert spool.is_sealed(ONE)
    second.fail = lambda _step: None
    await bench.uploader.store(ONE)
    assert second.objects == wanted
    assert bench.told == ["stored 1", "purged 1"]


async def test_one_that_is_away_holds_up_no_other_and_is_not_forgotten(
    spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    north, south = Storage("north"), Storage("south")
    bench = Bench(spool, north, south)
    wanted = {}
    for recording_id in IDS:
        wanted.update(seal(spool, recording_id))
    south.fail = lambda _step: StorageError("away.")
    uploader = bench.uploader
    to_north, to_south = uploader.lines
    await bench.run_until(lambda: not len(to_north) and len(bench.waited) > 20)
    assert north.objects == wanted
    assert (len(to_south), uploader.pending, uploader.stored) == (10, 10, 0)
    assert (to_north.away, to_south.away, uploader.away) == (False, True, True)
    assert uploader.waiting_since(to_north) is None
    assert uploader.waiting_since(to_south) == uploader.waiting_since()
    assert sorted(spool.list_sealed()) == IDS, "the local copy is what south will get"
    assert bench.told == []
    # A restart meanwhile: north is asked, and says that it has them.
    north.log.clear()
    bench = Bench(spool, north, south)

    def back() -> bool:
        if not len(bench.uploader.lines[0]) and bench.waited:
            assert not any("put" in step for step in north.log)
            south.fail = lambda _step: None
        return bench.uploader.stored == len(IDS)

    await bench.run_until(back)
    assert south.objects == north.objects == wanted
    assert spool.list_sealed() == []
    assert len(bench.told) == 2 * len(IDS)
    log = capsys.readouterr().out
    assert log.count("storage_back") == 1
    assert "north" not in log


async def test_what_only_one_of_them_has_is_stored_once_in_each(spool: Spool) -> None:
    north, south = Storage("north"), Storage("south")
    wanted = seal(spool, ONE)
    key = next(iter(wanted))
    north.state.objects[key] = wanted[key]
    bench = Bench(spool, north, south)
    bench.uploader.notify(ONE)
    await bench.run_until(lambda: bench.uploader.stored == 1)
    assert north.objects == south.objects == wanted
    assert bench.told == ["stored 1", "purged 1"]


async def test_a_ledger_that_cannot_be_told_is_told_by_the_last_one(
    spool: Spool,
) -> None:
    bench = Bench(spool, Storage("north"), Storage("south"))
    seal(spool, ONE)
    bench.fail_on = "purged"

    def mended() -> bool:
        if len(bench.waited) == 3:
            bench.fail_on = ""
        return bench.uploader.stored == 1

    await bench.run_until(mended)
    assert bench.told == ["stored 1", "purged 1"]
    assert bench.uploader.pending == 0


async def test_a_recording_is_made_ready_by_one_before_anything_of_it_goes(
    spool: Spool,
) -> None:
    north, south = Storage("north"), Storage("south")
    bench = Bench(spool, north, south)
    seal(spool, ONE)
    bench.fail_on = "prepare"

    def mended() -> bool:
        if len(bench.waited) < 4:
            assert north.log == south.log == []
        else:
            bench.fail_on = ""
        return bench.uploader.stored == 1

    await bench.run_until(mended)
    assert bench.told == ["stored 1", "purged 1"]
