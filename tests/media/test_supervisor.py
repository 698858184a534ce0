import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

import pytest
import structlog

from agent.media import control, supervisor
from agent.media.link import WorkerLink
from agent.media.spare import Spare
from agent.media.supervisor import Supervisor
from tests.patience import PATIENCE

HELLO = control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=2.0)


class Place:
    """A supervisor, and what it told."""

    def __init__(self, directory: Path) -> None:
        self.told: list[str] = []
        self._news = asyncio.Event()
        self.spare = Spare(self._hire)
        self._directory = directory
        self._names = count()
        self.supervisor = Supervisor(
            7,
            self._hire,
            self.spare.take,
            on_report=lambda _: None,
            on_lost=lambda index: self._tell(f"lost {index}"),
            on_ready=lambda index: self._tell(f"ready {index}"),
            on_given_up=lambda index: self._tell(f"given up {index}"),
        )

    async def _hire(self) -> WorkerLink:
        link = WorkerLink(self._directory / f"media-{next(self._names)}.sock")
        await link.start(HELLO)
        return link

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self._news.set()

    async def until(self, *told: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.told != list(told):
                self._news.clear()
                await self._news.wait()

    def kill(self) -> None:
        assert self.supervisor.pid is not None
        os.kill(self.supervisor.pid, signal.SIGKILL)


async def test_a_dead_worker_is_replaced(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.supervisor.begin(await place._hire())
    first = place.supervisor.pid
    place.kill()
    await place.until("lost 7", "ready 7")
    assert place.supervisor.up
    assert place.supervisor.lost == 1
    assert place.supervisor.pid not in {None, first}
    await place.supervisor.stop()
    assert not place.supervisor.up
    assert place.supervisor.pid is None


async def test_successors_that_cannot_start_are_deaths_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF", 0.05)
    place = Place(tmp_path)
    place.supervisor.begin(await place._hire())
    python = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with structlog.testing.capture_logs() as log:
        place.kill()
        await place.until("lost 7", "given up 7")
    told = [entry["event"] for entry in log]
    # With the one that was killed these were three.
    assert told == ["media_worker_not_started"] * 2 + ["media_worker_given_up"]
    assert place.supervisor.given_up
    assert not place.supervisor.up
    monkeypatch.setattr(sys, "executable", python)
    await place.until("lost 7", "given up 7", "ready 7")
    assert not place.supervisor.given_up
    await place.supervisor.stop()


async def test_stopping_ends_a_replacement_that_is_under_way(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.supervisor.begin(await place._hire())
    place.kill()
    await place.until("lost 7")
    await place.supervisor.stop()
    assert place.told == ["lost 7"]
    assert not place.supervisor.up
    place.supervisor.tell(control.CloseLeg(leg="void"))


async def test_who_stands_by_takes_the_place_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.supervisor.begin(await place._hire())
    place.spare.start(0.0)
    async with asyncio.timeout(PATIENCE):
        while place.spare.link is None:
            await asyncio.sleep(0)
    standing_by = place.spare.link.pid
    place.kill()
    await place.until("lost 7", "ready 7")
    assert place.supervisor.pid == standing_by
    assert place.spare.link is None
    await place.spare.stop()
    await place.supervisor.stop()
