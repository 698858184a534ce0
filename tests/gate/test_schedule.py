import dataclasses
import math
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from agent.archive.audit_log import AuditForkedError
from agent.archive.record_state import Hold, HoldKind, hold
from agent.gate.publishing import latest_serial
from agent.gate.schedule import EVERY, LAST_RUN, Schedule, Works
from agent.retention.erasure import Erasure
from agent.retention.policy import Period, Policy
from agent.retention.site import Place, Site
from agent.retention.sweep import Sweep
from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend
from tests.gate.rig import TODAY, Rig, opened

DAY = timedelta(days=1)


class Kept:
    """A schedule, its gate, and what may be made to fail."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.reloads = 0
        self.other = MemoryBackend(clock=rig.clock)
        parts = rig.parts
        places = tuple(Place.of([parts.archive]))
        site = Site(places, parts.states, parts.log, parts.keyring)
        policy = Policy(Period.parse("P1Y"))
        self.works = Works(
            parts=parts,
            site=site,
            sweep=Sweep(site, policy, wait=0.0, skew=math.inf),
            erasure=Erasure(site),
            heads={"other": self.other},
            reload=self.reload,
            days_ahead=7,
            state=folder,
        )
        self.schedule = Schedule(self.works)

    def reload(self) -> None:
        self.reloads += 1

    async def run(self) -> float:
        return await self.schedule.run(self.rig.clock())

    async def alarms(self) -> list[str]:
        return [row.result for row in await self.rig.rows() if row.act == "alarm"]


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    async with opened(tmp_path) as rig:
        yield Kept(rig, tmp_path)


async def test_a_month_of_days(kept: Kept) -> None:
    keyring = kept.rig.parts.keyring
    old = await kept.rig.store(day=TODAY.replace(year=2025) + timedelta(3))
    for number in range(30):
        assert await kept.run() == EVERY
        today = TODAY + number * DAY
        assert keyring.days()[-1] == today + timedelta(7)
        assert kept.schedule.last_run() == today
        assert await latest_serial(kept.rig.parts.archive.state) == number + 1
        kept.rig.clock.ahead(DAY)
    assert kept.reloads == 30
    assert await kept.alarms() == []
    assert (await kept.rig.release("quinn", old)).status_code == 410
    assert len(keyring.days()) == 37  # of the old day no key is left
    assert [key for key in kept.other.objects if key.startswith("audit/gate/")]


async def test_what_is_daily_is_done_once_a_day_the_sweep_each_time(
    kept: Kept,
) -> None:
    for _ in range(5):
        await kept.run()
        kept.rig.clock.ahead(timedelta(seconds=EVERY))
    assert kept.reloads == 1
    assert await latest_serial(kept.rig.parts.archive.state) == 1
    old = await kept.rig.store(day=date(2025, 11, 1))
    await kept.run()
    assert (await kept.rig.release("quinn", old)).status_code == 410


async def test_a_clock_that_was_ahead_does_not_end_what_is_daily(kept: Kept) -> None:
    kept.rig.clock.ahead(400 * DAY)
    await kept.run()
    kept.rig.clock.ahead(-400 * DAY)
    for _ in range(2):
        await kept.run()
    assert kept.reloads == 2
    assert kept.schedule.last_run() == TODAY


async def test_it_comes_again_when_a_day_may_go(kept: Kept) -> None:
    await kept.rig.store(day=TODAY.replace(year=2025))  # goes as tomorrow begins
    await kept.run()
    kept.rig.clock.ahead(timedelta(hours=11, minutes=58))
    assert await kept.run() == pytest.approx(120.0)
    kept.rig.clock.ahead(timedelta(seconds=119.5))
    assert await kept.run() == 1.0


async def test_days_that_were_missed_are_caught_up_and_alarmed_once(
    kept: Kept,
) -> None:
    await kept.run()
    old = await kept.rig.store(day=TODAY.replace(year=2025) + timedelta(1))
    kept.rig.clock.ahead(4 * DAY)
    for _ in range(3):
        await kept.run()
    assert await kept.alarms() == ["runs-missed"]
    [row] = [row for row in await kept.rig.rows() if row.act == "alarm"]
    assert row.detail == {"days": "3"}
    assert (await kept.rig.release("quinn", old)).status_code == 410


async def test_one_task_that_fails_stops_no_other_and_is_tried_again(
    kept: Kept,
) -> None:
    async def fail(_: int) -> Any:
        raise StorageError("away.")

    works = kept.works.sweep.run
    kept.works.sweep.run = fail  # type: ignore[method-assign]
    for _ in range(3):
        await kept.run()
    assert await latest_serial(kept.rig.parts.archive.state) == 1
    assert kept.schedule.last_run() is None
    assert await kept.alarms() == ["task-failed"]
    kept.works.sweep.run = works  # type: ignore[method-assign]
    await kept.run()
    assert kept.schedule.last_run() == TODAY


async def test_a_list_that_was_not_stored_is_published_by_the_next_run(
    kept: Kept,
) -> None:
    state = kept.rig.parts.archive.state
    put = state.put

    async def fail(key: str, *args: Any, **kwargs: Any) -> None:
        if key.startswith("gate/"):
            raise StorageError("away.")
        await put(key, *args, **kwargs)

    state.put = fail  # type: ignore[method-assign]
    await kept.run()
    assert await latest_serial(state) == 0
    state.put = put  # type: ignore[method-assign]
    await kept.run()
    assert await latest_serial(state) == 2


async def test_a_log_that_somebody_else_writes_ends_it(kept: Kept) -> None:
    async def forked(*_: Any, **__: Any) -> int:
        raise AuditForkedError("another.")

    kept.rig.parts.log.append = forked  # type: ignore[method-assign]
    with pytest.raises(AuditForkedError):
        await kept.run()


async def test_holds_that_may_have_been_forgotten_are_told(kept: Kept) -> None:
    held = await kept.rig.store()
    given = Hold(
        kind=HoldKind.LEGAL_CLAIM, owner="p-cara", since=TODAY, review=TODAY + DAY
    )
    await kept.rig.parts.states.change(held, lambda state: hold(state, "h", given))
    with structlog.testing.capture_logs() as lines:
        await kept.run()
        assert "holds_to_review" not in {line["event"] for line in lines}
        kept.rig.clock.ahead(2 * DAY)
        await kept.run()
    assert "holds_to_review" in {line["event"] for line in lines}


async def test_an_unreadable_state_is_alarmed_not_believed(
    kept: Kept, tmp_path: Path
) -> None:
    (tmp_path / LAST_RUN).write_text("yesterday")
    with structlog.testing.capture_logs() as lines:
        await kept.run()
    assert "schedule_state_unreadable" in {line["event"] for line in lines}
    assert kept.schedule.last_run() == TODAY


async def test_an_index_that_hides_a_recording_is_alarmed(kept: Kept) -> None:
    recording_id = await kept.rig.store(day=TODAY)
    objects = kept.rig.parts.archive.state.objects  # type: ignore[attr-defined]
    for key in [key for key in objects if key.startswith("index/")]:
        assert key.endswith(recording_id)
        del objects[key]
    kept.rig.clock.ahead(2 * DAY)
    with structlog.testing.capture_logs() as log:
        await kept.run()
    [line] = [one for one in log if one["event"] == "index_not_whole"]
    assert (line["fault"], line["count"]) == ("index-absent", 1)
    assert await kept.alarms() == ["index-not-whole"]
    assert kept.schedule.last_run() is not None


async def test_a_signing_key_whose_days_are_over_is_alarmed(kept: Kept) -> None:
    parts = kept.rig.parts
    [entry] = parts.roster().gate
    over = msgspec.structs.replace(entry, until=TODAY.isoformat())
    known = msgspec.structs.replace(parts.roster(), gate=(over,))
    kept.works = dataclasses.replace(
        kept.works, parts=dataclasses.replace(parts, roster=lambda: known)
    )
    kept.schedule = Schedule(kept.works)
    await kept.run()
    assert await kept.alarms() == []
    kept.rig.clock.ahead(DAY)
    await kept.run()
    assert await kept.alarms() == ["task-failed"]
