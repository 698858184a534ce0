import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.archive.store import Archive
from agent.formats.audit import Act
from agent.retention.site import AT_ONCE, Place, each, each_of
from agent.upload.backends.memory import MemoryBackend
from tests.retention.sites import DAY, built


def test_places_have_names() -> None:
    archives = [Archive(MemoryBackend(), MemoryBackend()) for _ in range(2)]
    assert [place.name for place in Place.of(archives)] == ["storage[0]", "storage[1]"]
    assert [place.name for place in Place.of(archives, ["a", "b"])] == ["a", "b"]


async def test_a_site_goes_on_without_those_that_are_away(tmp_path: Path) -> None:
    async with built(tmp_path, places=2) as site:
        less = site.site.without(["storage[1]"])
        assert [place.name for place in less.places] == ["storage[0]"]
        assert less.home is site.site.home
        assert less.generations(DAY) == (1,)
        await less.row(Act.SWEEP, day="2026-11-23")
        assert [row.act for row in site.rows()] == [Act.SWEEP]


async def test_without_a_log_there_are_no_rows(tmp_path: Path) -> None:
    async with built(tmp_path) as site:
        await replace(site.site, log=None).row(Act.SWEEP)
        assert site.rows() == []


async def test_a_few_are_done_at_once_and_all_of_them() -> None:
    now = most = 0
    done = []

    async def act(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        done.append(number)

    await each(range(100), act)
    assert (sorted(done), most) == ([*range(100)], AT_ONCE)


async def test_a_failure_waits_for_those_under_way() -> None:
    ended = []

    async def act(number: int) -> None:
        if number == 1:
            raise ValueError(number)
        await asyncio.sleep(0)
        ended.append(number)

    async def numbers() -> AsyncIterator[int]:
        for number in range(20):
            yield number

    with pytest.raises(ValueError, match="1"):
        await each_of(numbers(), act)
    assert ended == [n for n in range(AT_ONCE) if n != 1]
