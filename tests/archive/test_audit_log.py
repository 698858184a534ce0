import asyncio

import pytest

from agent.archive.audit_log import (
    AuditBrokenError,
    AuditForkedError,
    AuditLog,
    AuditLogError,
)
from agent.archive.audit_verification import read_rows, verify_log
from agent.formats.audit import Act, RowError
from agent.upload.backend import (
    ObjectUnlockedError,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import DAY, ID, KEY, OTHER, Clock, filled, started


async def whole(backend: MemoryBackend) -> int:
    report = await verify_log(backend, "gate", [KEY.public], {})
    assert report.findings == ()
    return report.rows


async def test_a_row_is_durable_before_append_returns() -> None:
    backend = MemoryBackend()
    log = await started(backend, Clock())
    for number in range(1, 4):
        assert await log.append("p-17", Act.FIND, purpose="quality") == number
        assert await whole(backend) == number
    assert sorted(backend.objects) == [
        f"audit/gate/2026/11/29/{number:012}.json" for number in (1, 2, 3)
    ]
    assert log.last == 3


async def test_rows_that_wait_are_written_together() -> None:
    backend = MemoryBackend()
    log = await started(backend, Clock())
    numbers = await asyncio.gather(
        *(log.append("p-17", Act.RELEASE, recording_id=ID) for _ in range(2500))
    )
    assert numbers == list(range(1, 2501))
    assert len(backend.objects) <= 4
    assert await whole(backend) == 2500


async def test_a_log_goes_on_where_it_ended() -> None:
    backend = MemoryBackend()
    clock = await filled(backend)
    for later in (0, 10, 100, 1000):
        clock.now += later * DAY
        log = await started(backend, clock)
        before = log.last
        assert await log.append("gate", Act.START) == before + 2
    assert await whole(backend) == log.last
    with pytest.raises(AuditBrokenError, match="ends before row"):
        await AuditLog(backend, "gate", KEY, clock).start(at_least=log.last + 1)


async def test_a_day_is_closed_by_an_object_that_names_the_next() -> None:
    backend = MemoryBackend()
    clock = await filled(backend, days=2, each=1)
    log = await started(backend, clock)
    await log.roll()
    await log.roll()
    rows = [row async for row in read_rows(backend, "gate", [KEY.public])]
    assert [row.act for row in rows] == ["release", "roll", "release", "roll"]
    assert rows[-1].detail == {"day": "2026-12-01"}
    assert rows[-1].who == "gate"
    assert [key[11:21] for key in sorted(backend.objects)] == [
        "2026/11/29", "2026/11/29", "2026/11/30", "2026/11/30",
    ]  # fmt: skip


async def test_a_clock_that_goes_back_changes_no_order() -> None:
    backend = MemoryBackend()
    clock = await filled(backend, days=2)
    clock.now -= 20 * DAY
    log = await started(backend, clock)
    await log.append("gate", Act.START)
    assert await whole(backend) == log.last
    again = await started(backend, clock)
    assert again.last == log.last


async def test_nothing_that_is_no_row_is_written() -> None:
    backend = MemoryBackend()
    log = await started(backend, Clock())
    with pytest.raises(RowError):
        await log.append("p-17", Act.EXPORT, detail={"to": "Matti Meikäläinen"})
    assert not backend.objects


# -- others -------------------------------------------------------------------------


@pytest.mark.parametrize("later", [0, DAY])
@pytest.mark.parametrize("rows", [0, 2])
async def test_a_second_process_notices(later: int, rows: int) -> None:
    backend = MemoryBackend()
    clock = Clock()
    first = await started(backend, clock)
    for _ in range(rows):
        await first.append("gate", Act.START)
    second = await started(backend, clock)
    await first.append("p-17", Act.RELEASE, recording_id=ID)
    clock.now += later if rows else 0
    for _ in range(2):
        with pytest.raises(AuditForkedError):
            await second.append("p-18", Act.RELEASE, recording_id=ID)
    await first.append("p-17", Act.FIND)
    assert await whole(backend) == first.last


async def test_the_same_act_at_the_same_moment_is_a_fork_too() -> None:
    backend = MemoryBackend()
    first, second = [await started(backend, Clock()) for _ in range(2)]
    await first.append("gate", Act.START)
    with pytest.raises(AuditForkedError):
        await second.append("gate", Act.START)


async def test_a_log_whose_end_was_altered_is_not_continued() -> None:
    backend = MemoryBackend()
    clock = await filled(backend)
    last = max(backend.objects)
    good = backend.objects[last]
    swapped = backend.objects[min(backend.objects)]
    for altered in (good[:-30], good.replace(b"quality", b"training"), swapped):
        backend.objects[last] = altered
        with pytest.raises(AuditBrokenError):
            await started(backend, clock)
    backend.objects[last] = good
    with pytest.raises(AuditBrokenError):
        await started(backend, clock, OTHER)
    renewed = AuditLog(backend, "gate", OTHER, clock, trusted=[KEY.public])
    await renewed.start()
    await renewed.append("gate", Act.START)
    both = await verify_log(backend, "gate", [KEY.public, OTHER.public], {})
    assert both.whole
    backend.objects["audit/gate/zzz"] = b""
    with pytest.raises(AuditBrokenError):
        await started(backend, clock)


# -- storage that fails -------------------------------------------------------------


class Failing:
    """Raises when it is told to, at one kind of operation."""

    def __init__(self) -> None:
        self.at = ""
        self.error: StorageError = StorageError("away.")

    def __call__(self, operation: str, _key: str) -> None:
        if operation == self.at:
            raise self.error


@pytest.mark.parametrize(("at", "tried"), [("put", 1), ("put done", 3)])
async def test_a_row_that_may_not_be_durable_is_told(at: str, tried: int) -> None:
    failing = Failing()
    backend = MemoryBackend(failing)
    log = await started(backend, Clock())
    await log.append("gate", Act.START)
    failing.at = at
    for _ in range(3):
        with pytest.raises(AuditLogError):
            await log.append("p-17", Act.RELEASE, recording_id=ID)
    failing.at = ""
    number = await log.append("p-18", Act.RELEASE, recording_id=ID)
    # What was tried stands in the log; what waited for it to be settled does not.
    assert number == tried + 2
    assert await whole(backend) == tried + 2


async def test_a_row_that_is_not_locked_as_it_must_be_allows_nothing() -> None:
    def before(operation: str, _key: str) -> None:
        if operation in unlocked:
            raise ObjectUnlockedError("without its lock.")

    unlocked: set[str] = set()
    backend = MemoryBackend(before)
    log = await started(backend, Clock())
    unlocked |= {"put done", "holds"}
    for _ in range(3):
        with pytest.raises(AuditLogError, match="without its lock"):
            await log.append("p-17", Act.RELEASE, recording_id=ID)
    assert len(backend.objects) == 1
    unlocked.clear()
    assert await log.append("p-17", Act.RELEASE, recording_id=ID) == 2


async def test_all_who_wait_are_told_and_none_twice() -> None:
    failing = Failing()
    failing.at, failing.error = "put", StorageDeniedError("no.")
    log = await started(MemoryBackend(failing), Clock())
    results = await asyncio.gather(
        *(log.append("p-17", Act.FIND) for _ in range(1500)), return_exceptions=True
    )
    assert {type(result) for result in results} == {AuditLogError}


@pytest.mark.parametrize("at", ["put", "put done"])
async def test_a_process_that_dies_leaves_a_log_that_verifies(at: str) -> None:
    failing = Failing()
    backend = MemoryBackend(failing)
    clock = Clock()
    for life in range(6):
        failing.at = ""
        log = await started(backend, clock)
        await log.append("gate", Act.START)
        failing.at = at
        clock.now += DAY * (life % 2)
        with pytest.raises(AuditLogError):
            await log.append("p-17", Act.RELEASE, recording_id=ID)
    assert await whole(backend) >= 6


async def test_who_goes_away_does_not_take_the_row_along() -> None:
    backend = MemoryBackend()
    log = await started(backend, Clock())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await log.append("p-17", Act.FIND)
    await log.append("p-18", Act.FIND)
    await log.close()
    assert await whole(backend) == 2


async def test_a_log_has_room_for_so_many_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.archive.audit_log.MAX_WAITING", 5)
    log = await started(MemoryBackend(), Clock())
    results = await asyncio.gather(
        *(log.append("p-17", Act.FIND) for _ in range(9)), return_exceptions=True
    )
    assert sum(isinstance(result, AuditLogError) for result in results) == 4
    await log.append("p-17", Act.FIND)
