from datetime import date
from pathlib import Path

from agent.retention.removal import (
    FEW,
    Removed,
    keep,
    remove_content,
    remove_envelopes,
)
from tests.retention.sites import DAY, built


async def test_only_what_is_named_goes(tmp_path: Path) -> None:
    async with built(tmp_path, gate=False) as site:
        one, other = await site.record(), await site.record()
        same_month = await site.record(date(2026, 11, 24))
        place = site.site.places[0]
        assert await remove_envelopes(place, DAY, {one}) == Removed(deleted=1)
        assert await remove_content(place, DAY, {one}) == Removed(deleted=6)
        assert site.of(one) == set()
        assert len(site.of(other)) == len(site.of(same_month)) == 7
        assert await remove_content(place, DAY, {one}) == Removed()


async def test_many_are_found_by_one_listing(tmp_path: Path) -> None:
    async with built(tmp_path, gate=False) as site:
        ids = {await site.record() for _ in range(FEW + 2)}
        stays = ids.pop()
        removed = await remove_content(site.site.places[0], DAY, ids)
        assert removed == Removed(deleted=6 * (FEW + 1))
        assert len(site.of(stays)) == 7


async def test_what_is_locked_is_counted(tmp_path: Path) -> None:
    async with built(tmp_path, gate=False) as site:
        one = await site.record()
        locked = site.backends[0][0]
        locked.locked = {key for key in locked.objects if key.startswith("audio/")}
        removed = await remove_content(site.site.places[0], DAY, {one})
        assert removed == Removed(deleted=5, locked=1)


async def test_storage_is_told_of_what_is_kept(tmp_path: Path) -> None:
    told: list[str] = []

    def before(operation: str, key: str) -> None:
        if operation == "keep":
            told.append(key)

    async with built(tmp_path, gate=False, before=before) as site:
        one, _ = await site.record(), await site.record()
        await keep(site.site.places[0], DAY, {one})
        assert sorted(key.partition("/")[0] for key in told) == [
            "audio", "keys", "manifest", "manifest",
        ]  # fmt: skip
        assert all(one in key for key in told)
