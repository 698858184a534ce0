from pathlib import Path
from typing import Any

import pytest

from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.service import rereading as module
from agent.service.config import load
from agent.service.material import read_material
from agent.service.protection import Protection
from agent.service.rereading import Rereading
from agent.service.witness import Witness
from tests.cli.conftest import DiskSite


async def test_the_roster_comes_first_and_what_is_forgotten_is_told(
    tmp_path: Path, log: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = DiskSite(tmp_path)
    config = load(site.write())
    done: list[str] = []

    async def reread_roster(*_: object) -> None:
        done.append("roster")

    class Renewing:
        protection = Protection()

        def __call__(self) -> None:
            done.append("lists")

    def remember(found: Protection, spool: Path) -> None:
        assert (found, spool) == (Renewing.protection, tmp_path / "spool")
        raise AgentError("the disk is full")

    monkeypatch.setattr(module, "reread_roster", reread_roster)
    monkeypatch.setattr(module, "remember_day_keys", remember)
    tasks = TaskSet(lambda *_: done.append("failed"))
    renewal: Any = Renewing()
    reread = Rereading(
        config,
        tmp_path,
        people=read_material(config, tmp_path).people,
        renewal=renewal,
        witness=Witness(None, config, tmp_path),
        tasks=tasks,
    )
    reread()
    await tasks.drain(5)
    assert done == ["roster", "lists"]
    assert [entry["event"] for entry in log] == ["serial_not_remembered"]
