import asyncio
import os
import sys
from pathlib import Path

import pytest

from agent.media import control
from agent.media.errors import MediaError
from agent.media.spawning import Spawning

HELLO = control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=2.0)


async def test_each_has_a_socket_of_its_own(tmp_path: Path) -> None:
    spawning = Spawning(tmp_path, HELLO, 2)
    links = await spawning.begin()
    links.append(await spawning.hire())
    assert len({link.pid for link in links}) == 3
    assert len(os.listdir(tmp_path)) == 3  # noqa: PTH208
    await asyncio.gather(*(link.kill() for link in links))


async def test_without_one_of_them_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MediaError):
        await Spawning(tmp_path, HELLO, 2).begin()
