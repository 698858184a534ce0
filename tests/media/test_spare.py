import asyncio
import os
import signal
from pathlib import Path

import pytest

from agent.media import control, spare
from agent.media.errors import MediaError
from agent.media.link import WorkerLink
from agent.media.spare import Spare
from tests.patience import PATIENCE

HELLO = control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=2.0)


class Agency:
    """Hires, unless it has nobody the first time."""

    def __init__(self, directory: Path, *, refusals: int = 0) -> None:
        self._directory = directory
        self._refusals = refusals
        self.hired = 0

    async def hire(self) -> WorkerLink:
        if self._refusals:
            self._refusals -= 1
            raise MediaError("Nobody is there.")
        self.hired += 1
        link = WorkerLink(self._directory / f"media-{self.hired}.sock")
        await link.start(HELLO)
        return link


async def standing_by(place: Spare, former: int | None = None) -> WorkerLink:
    async with asyncio.timeout(PATIENCE):
        while (link := place.link) is None or link.pid == former:
            await asyncio.sleep(0)
    return link


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "BACK_OFF", 0.0)


async def test_another_follows_one_that_was_taken_and_one_that_died(
    tmp_path: Path,
) -> None:
    place = Spare(Agency(tmp_path, refusals=1).hire)
    assert place.take() is None
    place.start(0.0)
    first = await standing_by(place)
    os.kill(first.pid or 0, signal.SIGKILL)
    second = await standing_by(place, first.pid)
    assert place.take() is second
    assert place.link is None
    await place.stop()
    await second.kill()
    assert place.link is None


async def test_who_died_while_it_stood_by_serves_nobody(tmp_path: Path) -> None:
    link = await Agency(tmp_path).hire()
    await link.kill()
    with pytest.raises(MediaError, match="stood by"):
        link.serve(lambda _: None, lambda: None)
