"""The sweep of a day killed at every step, and raced by holds."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.archive.record_state import RecordErasedError, hold
from agent.archive.states import States
from agent.formats.audit import Act
from agent.formats.layout import Folder, envelope_key, manifest_key
from agent.retention.day_erasure import StillArrivingError, erase_day
from agent.retention.marks import Mark
from agent.retention.policy import start_of_day
from agent.retention.replay import replay
from agent.upload.backend import ObjectInfo
from agent.upload.backends.memory import MemoryBackend
from tests.retention.sites import (
    DAY,
    DUE_NS,
    HELD,
    HOUR_NS,
    YEAR,
    Built,
    KilledError,
    Killer,
    built,
)


async def killed_at(folder: Path, step: int, *, gate: bool, places: int) -> bool:
    """Whether a sweep that is killed there had so many steps."""
    killer = Killer()
    async with built(folder, places=places, gate=gate, before=killer) as site:
        site.clock.now_ns = start_of_day(DAY)
        goes, kept = await site.record(), await site.record()
        site.clock.now_ns = DUE_NS
        await site.site.states.change(kept, lambda state: hold(state, "h", HELD))
        before = {
            key: data
            for _, state in site.backends
            for key, data in state.objects.items()
            if key.startswith("keys/") and goes in key
        }
        killer.left = step
        with contextlib.suppress(KilledError):
            await site.sweep(wait=0).run(site.clock())
        over = killer.left > 0
        killer.left = -1
        assert site.opens(kept), "whatever happens"
        assert site.opens(kept, place=places - 1)
        # The gate's own log is begun anew, as its process is.
        await site.log.close()
        again = await site.restarted()
        report = await again.sweep(wait=0).run(site.clock())
        assert report.left == []
        assert site.opens(kept)
        assert site.opens(kept, place=places - 1)
        assert site.of(goes) == set()
        assert site.tombstones() == [{goes}] * places
        assert Act.ERASED in [row.act for row in site.rows() if row.id == goes]
        if gate:
            assert not any(site.opens_envelope(e, goes) for e in before.values())
        assert site.keys() == site.of(kept)
        assert await again.sweep(wait=0).run(site.clock()) == type(report)(kept=1)
        site.clock.now_ns += 25 * HOUR_NS
        assert await again.sweep(wait=0).run(site.clock()) == type(report)(kept=1)
        left = {key for key in site.everything() if goes in key}
        assert {key.partition("/")[0] for key in left} == {"tombstones"}
        assert not any(key.startswith("erasures/") for key in site.everything())
        return over


@pytest.mark.parametrize(("gate", "places"), [(True, 1), (False, 2)])
async def test_killed_at_every_step_the_next_run_ends_it(
    tmp_path: Path, gate: bool, places: int
) -> None:
    for step in range(1, 400):
        folder = tmp_path / str(step)
        folder.mkdir()
        if await killed_at(folder, step, gate=gate, places=places):
            break
    else:
        pytest.fail("it has more steps than are tried")
    assert step > 20


class Uneven(MemoryBackend):
    """Whoever uses it loses its turn at random."""

    rng = random.Random(0)
    steps = 0

    async def turns(self) -> None:
        Uneven.steps += 1
        for _ in range(self.rng.randrange(8)):
            await asyncio.sleep(0)

    async def put(self, key: str, source: Path | bytes, *, sha256: str = "") -> None:
        await self.turns()
        await super().put(key, source, sha256=sha256)
        await self.turns()

    async def replace(self, key: str, data: bytes) -> None:
        await self.turns()
        await super().replace(key, data)
        await self.turns()

    async def delete(self, key: str) -> None:
        await self.turns()
        await super().delete(key)

    async def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectInfo]:
        await self.turns()
        async for info in super().list(prefix, after=after):
            yield info
        await self.turns()


async def hold_after(
    site: Built, recording_id: str, steps: int, sweep: "asyncio.Task[object]"
) -> bool:
    """Whether the hold was answered with yes, when storage was asked so often."""
    while Uneven.steps < steps and not sweep.done():
        await asyncio.sleep(0)
    states = States(site.backends[0][1], site.site.documents)
    try:
        await states.change(recording_id, lambda state: hold(state, "h", HELD))
    except RecordErasedError:
        return False
    return True


@pytest.mark.parametrize("gate", [True, False])
async def test_a_hold_that_was_granted_survives_whatever_the_sweep_does(
    tmp_path: Path, gate: bool
) -> None:
    granted = refused = 0
    for seed in range(24):
        Uneven.rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        async with built(folder, gate=gate, kind=Uneven) as site:
            ids = [await site.record() for _ in range(3)]
            Uneven.steps = 0
            async with asyncio.TaskGroup() as group:
                sweep = group.create_task(site.sweep(wait=0).run(site.clock()))
                when = Uneven.rng.randrange(80)
                held = await hold_after(site, ids[1], when, sweep)
            report = sweep.result()
            granted += held
            refused += not held
            assert site.opens(ids[1]) is held
            assert report.erased == (2 if held else 3)
            assert site.tombstones() == [{*ids} - ({ids[1]} if held else set())]
    assert granted
    assert refused


async def test_a_day_that_gets_ever_new_recordings_is_not_erased(
    tmp_path: Path,
) -> None:
    coming: list[str] = []

    def before(operation: str, key: str) -> None:
        if operation == "put" and key.startswith("state/"):
            recording_id = f"00000000-0000-4000-9000-{len(coming):012x}"
            coming.append(recording_id)
            site.backends[0][1].objects.update(site.objects(recording_id))

    async with built(tmp_path, before=before) as site:
        one = await site.record()
        mark = Mark.of(DAY, [one], DUE_NS, "P1Y")
        await site.site.marks.add(mark)
        with pytest.raises(StillArrivingError):
            await erase_day(site.site, mark, [one], DUE_NS)
        assert site.opens(one), "the key was not destroyed"


@pytest.mark.parametrize(("few", "decoy"), [(10, b"decoy"), (0, bytes(1 << 21))])
async def test_an_object_under_an_old_day_erases_no_recording_of_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, decoy: bytes
) -> None:
    monkeypatch.setattr("agent.retention.survey.FEW", few)
    later = DAY + timedelta(200)
    async with built(tmp_path, places=2, days=(DAY, later)) as site:
        site.clock.now_ns = start_of_day(DAY)
        due = await site.record()
        site.clock.now_ns = start_of_day(later)
        others = await site.record(later)
        # Whoever may put objects, and knows the id, files it a second time.
        site.clock.now_ns = DUE_NS
        for place in site.site.places:
            for name in (envelope_key, manifest_key):
                key = name(DAY, others)
                await place.backend(Folder(key.partition("/")[0])).put(key, decoy)
        with capture_logs() as logs:
            report = await site.sweep(wait=0).run(site.clock())
        assert (report.erased, report.left) == (1, [])
        told = [one for one in logs if one["event"] == "recordings_filed_twice"]
        assert [one["count"] for one in told] == [1]
        assert site.of(due) == set()
        assert site.keyring is not None
        assert site.keyring.generations(DAY) == []
        await replay(site.site)
        assert not (await site.site.states.read(others)).erasing
        assert all(site.opens(others, later, place=number) for number in (0, 1))
        site.clock.now_ns = YEAR.erasable_from(later)
        for _ in range(2):
            await site.sweep(wait=0).run(site.clock())
        assert site.of(others) == set()
