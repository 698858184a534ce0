import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.service.config import load
from agent.service.watching import lists_of, watch
from tests.cli.conftest import DiskSite
from tests.formats.rosters import TODAY
from tests.patience import PATIENCE
from tests.service.protected import ProtectedSite, days_from


@pytest.fixture
def site(tmp_path: Path) -> ProtectedSite:
    return ProtectedSite(DiskSite(tmp_path))


def test_the_lists_are_those_of_the_configuration(site: ProtectedSite) -> None:
    path = site.write(*days_from(TODAY, 1))
    names = [path.name for path in lists_of(load(path), site.root)]
    assert names == ["roster.signed", "day-keys.signed", "index-keys.json"]
    path.write_text(path.read_text().replace("index-keys.json", "credential:index"))
    assert len(lists_of(load(path), site.root)) == 2
    assert lists_of(load(site.site.write()), site.root) == ()


async def test_a_file_that_is_another_one_is_told_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    told: list[int] = []
    looks = 0

    class Looked(type(one)):  # type: ignore[misc]
        """A path that counts how often it is looked at, and acts in between."""

        def stat(self, **_: object) -> os.stat_result:
            nonlocal looks
            looks += 1
            for at, act in acts.items():
                if looks == at:
                    act()
            return super().stat()

    acts: dict[int, Callable[[], object]] = {
        3: lambda: replace(one, "2"),
        6: lambda: two.write_text("new"),
        9: two.unlink,
    }
    running = asyncio.get_running_loop().create_task(
        watch([Looked(one), two], lambda: told.append(looks), every=0)
    )
    async with asyncio.timeout(PATIENCE):
        while looks < 12:
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # Each was seen at the look that followed it, and never again.
    assert told == [3, 6, 9]


def replace(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)
