import asyncio
from datetime import date, timedelta

import pytest
from hypothesis import example, given, settings, strategies as st

from agent.archive.audit_log import AuditBrokenError
from agent.archive.audit_verification import (
    After,
    keep_heads,
    read_after,
    read_rows,
    verify_log,
)
from agent.archive.chain import Chain, Flaw
from agent.archive.log_order import last_key, read_in_order, sequence_of
from agent.formats.audit import Act, make_row, open_page, sign_page, utc_day
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import DAY, KEY, Clock, started

FAR = 150
"Days by which the clock was ahead."
TRUSTED = [KEY.public]


async def told(backend: MemoryBackend, clock: Clock, count: int = 2) -> None:
    """Another process writes some rows."""
    log = await started(backend, clock)
    for _ in range(count):
        await log.append("p-17", Act.FIND)
    await log.close()


async def wandered(backend: MemoryBackend, *, days: int = 3) -> Clock:
    """A clock that was ahead for a while, and then right for some days."""
    clock = Clock()
    await told(backend, clock)
    clock.now += FAR * DAY
    await told(backend, clock)
    clock.now += DAY
    await told(backend, clock)
    clock.now -= (FAR + 1) * DAY
    for _ in range(days):
        await told(backend, clock)
        clock.now += DAY
    return clock


async def numbers(backend: MemoryBackend, **days: date) -> list[int]:
    rows = read_rows(backend, "gate", TRUSTED, **days)
    return [row.sequence async for row in rows]


async def test_after_a_clock_that_was_ahead_it_goes_back_to_the_right_day() -> None:
    log, second = MemoryBackend(), MemoryBackend()
    clock = await wandered(log)
    today = utc_day(clock.now)
    report = await verify_log(log, "gate", TRUSTED, {})
    assert report.findings == ()
    keys = [key async for key, _ in read_in_order(log, "gate")]
    assert keys != sorted(log.objects)
    assert [sequence_of(key) for key in keys] == sorted(map(sequence_of, log.objects))
    assert await numbers(log) == list(range(1, report.rows + 1))
    # Each day has its rows, and every end of a day is kept.
    first = await numbers(log, first=date(2026, 11, 29), last=date(2026, 11, 29))
    assert first == [1, 2, 3, 10, 11, 12]
    ends = sum(b'"roll"' in data for data in log.objects.values())
    assert ends == 5
    assert await keep_heads(log, second, "gate", today) == ends
    report = await verify_log(log, "gate", TRUSTED, {"second": second})
    assert (report.findings, report.heads) == ((), ends)
    await told(log, clock)
    assert await keep_heads(log, second, "gate", today) == 1
    assert await keep_heads(log, second, "gate", today) == 0


@pytest.mark.parametrize("later", [0, 1, 5, 40, FAR, FAR + 1, FAR + 2, FAR + 9, 900])
async def test_its_end_is_found_whenever_that_is(later: int) -> None:
    log = MemoryBackend()
    clock = await wandered(log)
    end = max(log.objects, key=sequence_of)
    today = utc_day(clock.now) + timedelta(later)
    assert await last_key(log, "gate", today) == end
    clock.now += later * DAY
    await told(log, clock)
    assert (await verify_log(log, "gate", TRUSTED, {})).findings == ()


async def test_a_few_hours_around_midnight_move_nothing() -> None:
    log, clock = MemoryBackend(), Clock()
    await told(log, clock)
    clock.now += DAY
    await told(log, clock)
    clock.now -= DAY
    await told(log, clock)
    assert [b'"roll"' in data for data in log.objects.values()].count(True) == 1


async def test_what_was_removed_of_it_is_named() -> None:
    log = MemoryBackend()
    await wandered(log)
    whole = dict(log.objects)
    for gone in sorted(whole, key=sequence_of)[:-1]:
        log.objects = {key: data for key, data in whole.items() if key != gone}
        report = await verify_log(log, "gate", TRUSTED, {})
        assert [(one.key, one.flaw) for one in report.findings] == [
            (gone, Flaw.MISSING)
        ]


async def test_a_log_cut_off_in_its_wanderings_is_found_by_the_copies() -> None:
    log, second = MemoryBackend(), MemoryBackend()
    clock = await wandered(log)
    await keep_heads(log, second, "gate", utc_day(clock.now))
    heads = sorted(second.objects, key=sequence_of)
    for head in heads:
        kept = sequence_of(head)
        cut = MemoryBackend()
        cut.objects = {k: d for k, d in log.objects.items() if sequence_of(k) < kept}
        report = await verify_log(cut, "gate", TRUSTED, {"second": second})
        found = {one.key for one in report.findings if one.flaw is Flaw.CUT_OFF}
        assert found == {key for key in heads if sequence_of(key) >= kept}


@pytest.mark.parametrize(
    ("result", "day", "flawed"),
    [
        ("back", "2026-11-20", False),
        ("ok", "2026-11-20", True),
        ("back", "2026-12-20", True),
        ("back", "2026-11-29", True),
    ],
)
async def test_only_a_row_that_says_so_leads_back(
    result: str, day: str, *, flawed: bool
) -> None:
    log, clock = MemoryBackend(), Clock()
    await told(log, clock, 1)
    [key] = log.objects
    page = open_page(log.objects[key], TRUSTED)
    row = make_row(1, clock.now, "gate", Act.ROLL, result=result, detail={"day": day})
    changed = type(page)(writer="gate", first=1, previous=page.previous, rows=(row,))
    log.objects[key] = sign_page(changed, KEY)
    report = await verify_log(log, "gate", TRUSTED, {})
    assert [one.flaw for one in report.findings] == [Flaw.REWRITTEN] * flawed


async def test_reading_goes_on_from_anywhere() -> None:
    log = MemoryBackend()
    clock = await wandered(log)
    keys = sorted(log.objects, key=sequence_of)
    total = len(await numbers(log))
    place = After(0, date.min)
    for stop in range(total + 1):
        chain = Chain("gate", TRUSTED)
        rows: list[int] = []
        before = After(0, date.min)
        async for page, lies in read_after(log, chain, After(0, date.min)):
            if page.last <= stop:
                before = After(page.last, lies)
        chain = Chain("gate", TRUSTED)
        async for page, lies in read_after(log, chain, before):
            rows += [row.sequence for row in page.rows]
            place = After(page.last, lies)
        assert rows == list(range(before.row + 1, total + 1))
        assert chain.findings == []
    assert place == After(total, utc_day(clock.now - DAY))
    log.objects[keys[3]] = b"altered"
    chain = Chain("gate", TRUSTED)
    read = [page.first async for page, _ in read_after(log, chain, After(0, date.min))]
    assert [one.flaw for one in chain.findings] == [Flaw.ALTERED]
    assert len(read) == len(keys) - 1


async def test_a_strange_name_hides_no_end() -> None:
    log = MemoryBackend()
    clock = await wandered(log)
    end = await last_key(log, "gate", utc_day(clock.now))
    log.objects["audit/gate/2099/strange"] = b""
    assert await last_key(log, "gate", utc_day(clock.now)) == end
    log.objects = {"audit/gate/2099/strange": b""}
    with pytest.raises(AuditBrokenError):
        await started(log, clock)


@given(st.lists(st.tuples(st.integers(-60, 60), st.booleans()), max_size=9))
# Wrong for a while in the middle of a day.
@example([(1, True), (-2, False), (2, False)])
@example([(1, True), (-20_000, False), (20_000, False)])
@settings(max_examples=20)
def test_wherever_a_clock_wanders_the_log_is_whole_and_its_ends_are_kept(
    steps: list[tuple[int, bool]],
) -> None:
    async def wander() -> None:
        log, second, clock = MemoryBackend(), MemoryBackend(), Clock()
        for days, keep in [(0, False), *steps]:
            clock.now += days * DAY
            await told(log, clock, 1)
            if keep:
                await keep_heads(log, second, "gate", utc_day(clock.now))
        today = utc_day(clock.now)
        await keep_heads(log, second, "gate", today)
        heads = {key for key, data in log.objects.items() if b'"roll"' in data}
        assert second.objects.keys() == heads
        report = await verify_log(log, "gate", TRUSTED, {"second": second})
        assert report.findings == ()
        assert await numbers(log) == list(range(1, report.rows + 1))
        assert await last_key(log, "gate", today) == max(log.objects, key=sequence_of)

    asyncio.run(wander())
