import shutil
from datetime import timedelta

import pytest
import structlog

from agent.archive.audit_verification import read_rows
from agent.archive.witness import WitnessError
from agent.common.moments import time_text
from agent.formats.audit import Act, Row
from agent.gate.memory import IN_FORCE
from agent.gate.opening import Opened
from agent.retention.keys import destroy_day, destroy_holds
from tests.archive.logs import ID
from tests.gate.rig import Clock
from tests.gate.site import GateSite
from tests.gate.test_opening import gate, site  # noqa: F401 - a fixture

TOLD = {"hold": "h-1", "kind": "legal-claim", "review": "2099-01-15"}


async def held(opened: Opened) -> None:
    await opened.parts.log.append("p-quinn", Act.HOLD, recording_id=ID, detail=TOLD)


async def test_what_is_in_force_outlives_the_gate(site: GateSite) -> None:  # noqa: F811
    memory = site.folder / "memory" / IN_FORCE
    for forgets in (False, True):
        async with gate(site) as opened:
            if not forgets:
                await held(opened)
            assert (await opened.parts.states.read(ID)).holds.keys() == {"h-1"}
        if forgets:
            memory.unlink()
    async with gate(site) as opened:
        assert (await opened.parts.states.read(ID)).holds.keys() == {"h-1"}
    memory.write_bytes(b"nonsense")
    with pytest.raises(WitnessError, match="cannot be read"):
        async with gate(site):
            pass


async def test_a_flaw_of_the_log_is_told_and_what_was_known_stays(
    site: GateSite,  # noqa: F811
) -> None:
    async with gate(site) as opened:
        await held(opened)
        await opened.parts.log.append("p-quinn", Act.FIND)
    (site.folder / "memory" / IN_FORCE).unlink()
    *_, find, _ = sorted((site.folder / "locked" / "audit").rglob("*.json"))
    find.chmod(0o600)
    find.write_bytes(b"altered")
    with structlog.testing.capture_logs() as lines:
        async with gate(site) as opened:
            assert (await opened.parts.states.read(ID)).holds.keys() == {"h-1"}
    [line] = [one for one in lines if one["event"] == "audit_log_flawed"]
    assert line["what"].endswith("altered")


async def test_destroyed_keys_that_a_backup_brings_back_are_destroyed_again(
    site: GateSite,  # noqa: F811
) -> None:
    clock = Clock()
    ring, backup = site.folder / "keyring", site.folder / "backup"
    async with gate(site, clock=clock) as opened:
        keyring, today = opened.parts.keyring, opened.parts.today()
        await keyring.generate_until(today + timedelta(2), today=today)
        await keyring.hold_key(ID)
        shutil.copytree(ring, backup)
        await keyring.new_generation(today)
        await destroy_day(opened.site, today, clock(), up_to=1)
        await destroy_day(opened.site, today + timedelta(1), clock())
        await destroy_holds(opened.site, [ID], clock())
    shutil.rmtree(ring)
    shutil.copytree(backup, ring)
    with structlog.testing.capture_logs() as lines:
        async with gate(site, clock=clock) as opened:
            keyring = opened.parts.keyring
            assert keyring.days() == [today + timedelta(2)]
            assert not await keyring.has_hold_key(ID)
            # No key is ever made again under a name that was destroyed.
            assert await keyring.new_generation(today) == 2
    [line] = [one for one in lines if one["event"] == "destroyed_keys_returned"]
    assert line["keys"] == [f"{today}.1", f"{today + timedelta(1)}.1", ID]
    async with gate(site, clock=clock) as opened:
        rows = [
            (row.id, row.detail.get("generation"))
            for row in await rows_of(opened)
            if row.result == "again"
        ]
        assert rows == [("", "1"), ("", "1"), (ID, None)]
        done = await opened.parts.keyring.destroyed()
        assert {one.at for one in done} == {time_text(clock())}


async def rows_of(opened: Opened) -> list[Row]:
    keys = opened.parts.roster().gate_keys()
    return [row async for row in read_rows(opened.parts.archive.locked, "gate", keys)]
