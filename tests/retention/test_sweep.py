import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.archive.keyring import Keyring
from agent.archive.record_state import (
    OpenRequest,
    RecordErasedError,
    Restriction,
    hold,
    lift_hold,
    open_request,
    restrict,
)
from agent.formats.age import KeyKind, generate_identity
from agent.formats.audit import Act
from agent.formats.layout import envelope_key
from agent.retention.clock_check import ClockError
from agent.retention.marks import Mark
from agent.retention.plan import Step
from agent.retention.policy import DAY_NS
from agent.retention.report import SweepReport
from agent.retention.sweep import Sweep
from agent.upload.backend import StorageError
from tests.retention.sites import DAY, DUE_NS, HELD, HOUR_NS, YEAR, Built, built


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Built]:
    async with built(tmp_path, places=2, now_ns=DUE_NS - 2 * HOUR_NS) as site:
        yield site


async def put_on_hold(site: Built, recording_id: str) -> None:
    await site.site.states.change(recording_id, lambda state: hold(state, "h1", HELD))


async def test_a_day_is_marked_before_and_goes_as_the_next_begins(two: Built) -> None:
    ids = [await two.record() for _ in range(3)]
    sweep = two.sweep()
    first = await sweep.run(two.clock())
    assert (len(first.marked), first.erased, first.late) == (1, 0, [])
    assert first.next_ns == DUE_NS
    two.clock.now_ns = DUE_NS - 1
    assert (await sweep.run(two.clock())).erased == 0
    assert all(two.opens(one, place=place) for one in ids for place in (0, 1))
    two.clock.now_ns = DUE_NS
    report = await sweep.run(two.clock())
    assert (report.erased, report.left, report.complete) == (3, [], [DAY])
    assert two.keys() == set()
    assert two.tombstones() == [set(ids)] * 2
    assert await sweep.run(two.clock()) == SweepReport()


async def test_rows_and_tombstones_say_what_became_of_each(two: Built) -> None:
    one = await two.record()
    two.clock.now_ns = DUE_NS
    await two.sweep(wait=0).run(two.clock())
    told = [(row.act, row.id, row.detail) for row in two.rows()]
    day = DAY.isoformat()
    method = {"day": day, "method": "key-destroyed", "policy": "P1Y"}
    assert told == [
        (Act.KEY_DESTROYED, "", {"day": day, "generation": "1"}),
        (Act.ERASED, one, method),
        (Act.SWEEP, "", {"day": day, "erased": "1", "policy": "P1Y"}),
    ]
    (key,) = (k for k in two.backends[1][1].objects if k.startswith("tombstones/"))
    assert key == f"tombstones/2027/11/24/{one}.json"
    assert b'"host":"host-a"' in two.backends[1][1].objects[key]


@pytest.mark.parametrize("why", ["hold", "restriction", "request"])
async def test_what_stops_the_clock_keeps_a_record(two: Built, why: str) -> None:
    since = date(2027, 11, 1)
    change = {
        "hold": lambda state: hold(state, "h", HELD),
        "restriction": lambda state: restrict(
            state, Restriction(by="p-7", since=since, reason="disputed")
        ),
        "request": lambda state: open_request(
            state, "r", OpenRequest(by="p-7", since=since, kind="access")
        ),
    }[why]
    kept, goes = await two.record(), await two.record()
    await two.site.states.change(kept, change)
    two.clock.now_ns = DUE_NS
    (plan,) = [day async for day in two.sweep().plan(two.clock())]
    assert (plan.erase, plan.kept) == ((goes,), {kept: (why,)})
    report = await two.sweep(wait=0).run(two.clock())
    assert (report.erased, report.kept, report.complete) == (1, 1, [DAY])
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == []
    assert two.opens(kept)
    assert two.opens(kept, place=1)
    assert two.of(goes) == set()
    (rewrapped,) = (row for row in two.rows() if row.act == Act.REWRAP)
    assert (rewrapped.id, rewrapped.detail) == (kept, {"to": "hold"})


async def test_a_hold_that_is_lifted_when_overdue_is_over_within_a_day(
    two: Built,
) -> None:
    kept = await two.record()
    await put_on_hold(two, kept)
    two.clock.now_ns = DUE_NS
    await two.sweep(wait=0).run(two.clock())
    two.clock.now_ns += 40 * 24 * HOUR_NS
    sweep = two.sweep()
    assert (await sweep.run(two.clock())).kept == 1
    copy = two.backends[0][1].objects[envelope_key(DAY, kept)]
    assert two.opens_envelope(copy, kept)
    await two.site.states.change(kept, lambda state: lift_hold(state, "h1"))
    lifted = await sweep.run(two.clock())
    assert (lifted.marked, lifted.late) == ([DAY], [])
    assert lifted.next_ns == two.clock.now_ns + HOUR_NS
    two.clock.now_ns += HOUR_NS
    assert (await sweep.run(two.clock())).erased == 1
    assert two.of(kept) == set()
    assert not two.opens_envelope(copy, kept), "the hold key is destroyed"


async def test_a_missed_run_catches_up_and_alarms(two: Built) -> None:
    one = await two.record()
    two.clock.now_ns = DUE_NS + 3 * 24 * HOUR_NS
    sweep = two.sweep()
    assert (await sweep.run(two.clock())).late == [DAY]
    two.clock.now_ns += HOUR_NS
    report = await sweep.run(two.clock())
    assert (report.erased, report.late) == (1, [])
    assert two.of(one) == set()


async def test_a_dry_run_changes_nothing(two: Built) -> None:
    ids = [await two.record() for _ in range(2)]
    await put_on_hold(two, ids[0])
    two.clock.now_ns = DUE_NS
    before = [dict(b.objects) for pair in two.backends for b in pair]
    (plan,) = [day async for day in two.sweep().plan(two.clock())]
    assert plan.step is Step.MARK
    assert plan.to_words(YEAR) == {
        "day": "2026-11-23", "expires": "2027-11-23",
        "erasable_from": "2027-11-23T22:00:00.000Z", "step": "mark", "late": False,
        "erase": [ids[1]], "kept": {ids[0]: ["hold"]}, "keys": [1],
        "strange_objects": 0,
    }  # fmt: skip
    assert [dict(b.objects) for pair in two.backends for b in pair] == before


async def test_without_a_gate_the_envelope_is_what_goes(tmp_path: Path) -> None:
    async with built(tmp_path, gate=False) as site:
        one, kept = await site.record(), await site.record()
        await put_on_hold(site, kept)
        assert site.opens(one)
        report = await site.sweep(wait=0).run(site.clock())
        assert (report.erased, report.kept) == (1, 1)
        assert site.of(one) == set()
        assert site.opens(kept)
        (erased,) = (row for row in site.rows() if row.act == Act.ERASED)
        assert erased.detail["method"] == "envelope-deleted"


async def test_a_day_before_there_was_a_gate_is_erased_without_its_key(
    tmp_path: Path,
) -> None:
    async with built(tmp_path, gate=False) as site:
        goes, kept = await site.record(), await site.record()
        await put_on_hold(site, kept)
        owner = generate_identity(KeyKind.CLASSIC, os.urandom)
        ring = await Keyring.create(tmp_path / "ring", [owner], kind=KeyKind.CLASSIC)
        try:
            sweep = Sweep(replace(site.site, keyring=ring), YEAR, wait=0)
            report = await sweep.run(site.clock())
        finally:
            ring.close()
        assert (report.erased, report.kept, report.left) == (1, 1, [])
        assert site.opens(kept)
        (erased,) = (row for row in site.rows() if row.act == Act.ERASED)
        assert (erased.id, erased.detail["method"]) == (goes, "envelope-deleted")


async def test_a_day_without_recordings_loses_its_key_too(two: Built) -> None:
    two.clock.now_ns = DUE_NS
    assert (await two.sweep(wait=0).run(two.clock())).complete == [DAY]
    assert two.keyring is not None
    assert two.keyring.days() == []


async def test_what_a_lock_keeps_is_said_until_it_has_gone(two: Built) -> None:
    one = await two.record()
    locked = two.backends[1][0]
    locked.locked = set(locked.objects)
    two.clock.now_ns = DUE_NS
    sweep = two.sweep(wait=0)
    report = await sweep.run(two.clock())
    assert (report.erased, report.complete) == (1, [])
    (left,) = report.left
    assert (left.place, left.reason) == (
        "storage[1]", "the lock of 3 objects has not run out",
    )  # fmt: skip
    assert not two.opens(one)
    again = await sweep.run(two.clock())
    assert (again.erased, again.complete, len(again.left)) == (0, [], 1)
    two.clock.now_ns += 25 * HOUR_NS
    assert (await sweep.run(two.clock())).late == [DAY]
    locked.locked.clear()
    assert (await sweep.run(two.clock())).complete == [DAY]
    assert two.keys() == set()
    assert sum(row.act == Act.ERASED for row in two.rows()) == 1


async def test_a_place_that_is_away_stops_no_other(tmp_path: Path) -> None:
    away = True

    def before(operation: str, key: str) -> None:
        if away:
            raise StorageError("It is away.")

    async with built(tmp_path, places=2) as site:
        one, kept = await site.record(), await site.record()
        await put_on_hold(site, kept)
        for backend in site.backends[1]:
            backend._before = before
        sweep = site.sweep(wait=0)
        report = await sweep.run(site.clock())
        assert [left.place for left in report.left] == ["storage[1]"]
        assert report.erased == 0, "until every place has confirmed"
        assert site.keyring is not None
        assert site.keyring.generations(DAY) == []
        assert site.opens(kept)
        assert not site.opens(one)
        away = False
        report = await sweep.run(site.clock())
        assert (report.erased, report.left) == (1, [])
        assert site.opens(kept, place=1), "it got the other's envelope"
        assert site.of(one) == set()


async def test_what_was_complete_is_forgotten_a_day_later(two: Built) -> None:
    one, kept = await two.record(), await two.record()
    await put_on_hold(two, kept)
    two.clock.now_ns = DUE_NS
    sweep = two.sweep(wait=0)
    await sweep.run(two.clock())
    with pytest.raises(RecordErasedError):
        await put_on_hold(two, one)  # who had seen it there a moment ago
    two.clock.now_ns += 23 * HOUR_NS
    await two.site.states.change(kept, lambda state: lift_hold(state, "h1"))
    report = await sweep.run(two.clock())
    assert (report.marked, report.erased) == ([DAY], 1)
    two.clock.now_ns += 25 * HOUR_NS
    assert await sweep.run(two.clock()) == SweepReport()
    telling = {key.partition("/")[0] for key in two.everything()}
    assert telling == {"audit", "tombstones"}


async def test_a_clock_that_is_wrong_erases_nothing(two: Built) -> None:
    one = await two.record()
    wrong = DUE_NS
    two.clock.now_ns = DUE_NS - 300 * 24 * HOUR_NS  # what storage says
    for _ in range(2):
        with pytest.raises(ClockError, match="Set the clock"):
            await two.sweep(wait=0).run(wrong)
    assert two.opens(one)
    state = await two.site.states.read(one)
    assert not state.erasing
    two.clock.now_ns = DUE_NS - HOUR_NS
    assert (await two.sweep(wait=0).run(two.clock())).erased == 0
    assert two.opens(one)


@pytest.mark.parametrize("what", ["cut off", "another's"])
async def test_a_held_envelope_that_does_not_open_keeps_the_key(
    two: Built, what: str
) -> None:
    one, kept = await two.record(), await two.record()
    await put_on_hold(two, kept)
    two.clock.now_ns = DUE_NS
    key = envelope_key(DAY, kept)
    sound = two.backends[0][1].objects[key]
    copy = two.backends[0][1].objects[envelope_key(DAY, one)]
    for _, state in two.backends:
        state.objects[key] = copy if what == "another's" else sound[:-1]
    report = await two.sweep(wait=0).run(two.clock())
    (left,) = report.left
    assert f"The envelope of {kept} does not open" in left.reason
    assert not two.opens(one), "what is not held goes all the same"
    assert two.keyring is not None
    assert two.keyring.generations(DAY) == [1]
    two.backends[1][1].objects[key] = sound  # one place's is mended
    report = await two.sweep(wait=0).run(two.clock())
    assert (report.erased, report.left) == (1, [])
    assert two.opens(kept)
    assert two.opens(kept, place=1)


async def test_what_goes_early_is_another_matter(two: Built) -> None:
    one = await two.record()
    mark = Mark.of(DAY, [one], two.clock(), "early", generation=1)
    await two.site.marks.add(mark)
    assert [plan.mark async for plan in two.sweep().plan(two.clock())] == [None]


async def test_what_has_a_strange_name_is_left_alone(two: Built) -> None:
    state = two.backends[0][1]
    await state.put("keys/2026/11/23/letter.txt", b"?")
    await two.record()
    two.clock.now_ns = DUE_NS
    report = await two.sweep(wait=0).run(two.clock())
    assert (report.erased, report.strange) == (1, 1)
    assert two.keys() == {"keys/2026/11/23/letter.txt"}


async def test_days_that_are_not_over_are_not_touched(two: Built) -> None:
    assert two.keyring is not None
    tomorrow = DAY + timedelta(1)
    await two.keyring.generate_until(tomorrow, today=tomorrow)
    young = await two.record(tomorrow)
    two.clock.now_ns = DUE_NS
    report = await two.sweep(wait=0).run(two.clock())
    assert (report.complete, report.marked) == ([DAY], [DAY, tomorrow])
    assert two.opens(young, tomorrow)


async def test_a_clock_that_was_years_ahead_keeps_no_day_longer(two: Built) -> None:
    one = await two.record()
    ahead = DUE_NS + 3000 * DAY_NS
    with pytest.raises(ClockError):
        # The storages' clock is right.
        await two.sweep().run(ahead)
    two.clock.now_ns = DUE_NS
    report = await two.sweep().run(two.clock())
    assert (report.marked, report.next_ns) == ([DAY], DUE_NS + HOUR_NS)
    two.clock.now_ns = DUE_NS + HOUR_NS
    report = await two.sweep().run(two.clock())
    assert (report.erased, report.complete) == (1, [DAY])
    assert two.of(one) == set()
