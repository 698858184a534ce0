from datetime import date
from pathlib import Path

from agent.formats.audit import Act
from agent.retention.keys import (
    ENVELOPE_DELETED,
    KEY_DESTROYED,
    destroy_day,
    destroy_holds,
    method_of,
)
from tests.retention.sites import DAY, DUE_NS, built

ONE = "00000000-0000-4000-8000-000000000001"
TWO = "00000000-0000-4000-8000-000000000002"


async def test_each_destruction_has_its_row(tmp_path: Path) -> None:
    async with built(tmp_path) as site:
        assert site.keyring is not None
        await site.keyring.new_generation(DAY)
        await site.keyring.new_generation(DAY)
        await destroy_day(site.site, DAY, DUE_NS, up_to=2)
        assert site.keyring.generations(DAY) == [3]
        await destroy_day(site.site, DAY, DUE_NS)
        await destroy_day(site.site, DAY, DUE_NS)
        assert site.keyring.generations(DAY) == []
        assert [row.act for row in site.rows()] == [Act.KEY_DESTROYED] * 3
        assert [row.detail["generation"] for row in site.rows()] == ["1", "2", "3"]


async def test_hold_keys_go_where_there_are_any(tmp_path: Path) -> None:
    async with built(tmp_path) as site:
        assert site.keyring is not None
        await site.keyring.hold_key(ONE)
        for _ in range(2):
            await destroy_holds(site.site, [ONE, TWO], DUE_NS)
        assert not await site.keyring.has_hold_key(ONE)
        assert [(row.act, row.id) for row in site.rows()] == [(Act.KEY_DESTROYED, ONE)]


async def test_without_a_gate_there_are_none(tmp_path: Path) -> None:
    async with built(tmp_path, gate=False) as site:
        await destroy_day(site.site, DAY, DUE_NS)
        await destroy_holds(site.site, [ONE], DUE_NS)
        assert site.rows() == []
        assert await method_of(site.site, DAY) == ENVELOPE_DELETED


async def test_the_method_is_told_as_it_was(tmp_path: Path) -> None:
    async with built(tmp_path) as site:
        assert await method_of(site.site, DAY) == KEY_DESTROYED
        await destroy_day(site.site, DAY, DUE_NS)
        assert await method_of(site.site, DAY) == KEY_DESTROYED
        before = date(2026, 11, 1)  # there was no gate then
        assert await method_of(site.site, before) == ENVELOPE_DELETED
