"""The whole agent, in this process: what a hangup signal changes, and what not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.common.service_manager import ServiceManager
from agent.formats.container import wav_header
from agent.service.app import Agent
from agent.service.config import load
from agent.service.reloading import MAX_RETIRED
from tests.cli.conftest import DiskSite
from tests.common.test_service_manager import Manager
from tests.patience import PATIENCE
from tests.ports import free_ports
from tests.service.test_app import hang_up
from tests.service.test_manager_news import heard


class Site:
    """A running agent whose file a test rewrites."""

    def __init__(self, site: DiskSite, agent: Agent, log: list[dict[str, Any]]) -> None:
        self.file = site.config
        self.root = site.root
        self.agent = agent
        self.log = log
        self.reloading: Any = None

    def change(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    async def reload(self) -> dict[str, Any]:
        return await hang_up(self.log, "configuration_reloaded")

    async def refused(self) -> list[str]:
        entry = await hang_up(self.log, "configuration_not_reloaded")
        return list(entry["mistakes"])

    @property
    def running(self) -> Any:
        return self.reloading._running


@asynccontextmanager
async def running(
    root: Path,
    log: list[dict[str, Any]],
    manager: ServiceManager | None = None,
) -> AsyncIterator[Site]:
    site = DiskSite(root)
    [site.sip] = free_ports(1)
    path = site.write()
    agent = Agent(load(path), root, manager, source=lambda: load(path))
    found = Site(site, agent, log)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    served = loop.create_task(agent.serve(ready.set))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        found.reloading = agent._reload
        yield found
        agent.stop()
        await served


async def test_all_that_may_change_does(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    async with running(tmp_path, log) as site:
        levels: list[str] = []
        object.__setattr__(site.running, "set_level", levels.append)
        notice = wav_header("alaw", 8000, 1, 800) + b"\x55" * 800
        (tmp_path / "sv.wav").write_bytes(notice)
        site.change('number = "1"', 'number = "2"')
        site.change("fi.wav", "sv.wav")
        site.change("officers.csv", "others.csv")
        (tmp_path / "others.csv").write_text("number,name,recipient\n301,Two,\n")
        site.change("[recording]", '[log]\nlevel = "debug"\n[recording]')
        site.change('match = ["127.0.0.1:5999"]', 'match = ["127.0.0.1:5996"]')
        site.change("drain = 5", "drain = 6")
        source = 'name = "beside"\nfrom = "trunk"\nnotice = "header:X-Told"\n'
        site.change("[recording]", f"[[siprec]]\n{source}[recording]")
        await site.reload()
        assert site.running.sources.of_peer("trunk").name == "beside"
        routes = site.running.routes
        [route] = routes._routes
        assert (route.number, route.notice) == ("2", ("sv.wav",))
        assert routes.peer_named("trunk").match == ("127.0.0.1:5996",)
        notices = site.reloading._material.notices
        assert notices["sv.wav"].language == "sv"
        assert "fi.wav" not in notices
        # It may be playing: it is known by its own name.
        assert {sound.language for sound in notices.values()} == {"sv", "fi"}
        assert notices["sv.wav"].name in site.running.media._crew._sounds
        people = site.reloading._material.people
        assert people.directory().lookup("301") is not None
        assert levels == ["debug"]
        assert site.reloading.config.agent.drain == 6
        assert site.reloading.notes == ()
        # As often as one likes.
        for number in range(MAX_RETIRED + 3):
            (tmp_path / "sv.wav").write_bytes(notice[:-1] + bytes([number]))
            await site.reload()
        assert len(notices) == 1 + MAX_RETIRED


async def test_one_mistake_and_nothing_changes(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    async with running(tmp_path, log) as site:
        before = site.file.read_text()
        config = site.reloading.config
        site.change('number = "1"', 'number = "2"')
        site.change('to = ["sip:201@127.0.0.1:5998"]', 'to = ["+358401234567"]')
        (tmp_path / "fi.wav").write_bytes(b"junk")
        [mistake] = await site.refused()
        # It says where, and shows no number.
        assert mistake.startswith("routes[0].to: ")
        assert "1234567" not in mistake
        assert site.reloading.notes == (
            "configuration not reloaded, wrong: routes[0].to",
        )
        site.file.write_text(before)
        site.change('number = "1"', 'number = "2"')
        assert (await site.refused())[0].startswith("routes[0].notice: ")
        site.file.write_text("[agent\n")
        await site.refused()
        site.file.unlink()
        await site.refused()
        assert site.reloading.config is config
        assert site.running.routes._routes[0].number == "1"
        site.file.write_text(before)
        (tmp_path / "fi.wav").write_bytes(
            wav_header("alaw", 8000, 1, 800) + b"\x55" * 800
        )
        await site.reload()
        assert site.reloading.notes == ()


async def test_what_needs_a_restart_is_named_and_the_rest_is_used(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    async with running(tmp_path, log) as site:
        site.change('spool = "spool"', 'spool = "elsewhere"')
        site.change("ports = [46000, 46099]", "ports = [46100, 46199]")
        site.change('number = "1"', 'number = "2"')
        await site.reload()
        [told] = [entry for entry in log if entry["event"] == "restart_needed"]
        assert told["keys"] == ["agent.spool", "media.ports"]
        assert site.reloading.notes == ("needs a restart: agent.spool, media.ports",)
        assert site.running.routes._routes[0].number == "2"
        assert not (tmp_path / "elsewhere").exists()


async def test_what_nobody_foresaw_changes_nothing_and_ends_no_calls(
    tmp_path: Path, log: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, log) as site:
        monkeypatch.setattr(site.reloading, "_reader", lambda: 1 / 0)
        entry = await hang_up(log, "task_failed")
        assert entry["level"] == "critical"
        assert site.reloading.notes == ("configuration not reloaded: an error of ours",)
        monkeypatch.undo()
        assert not site.agent._stop.is_set()
        await site.reload()


async def test_the_service_manager_is_told_and_signals_meanwhile_are_not_lost(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    listening = Manager(str(tmp_path / "notify"))
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    async with running(tmp_path, log, manager) as site:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
            # Each is seen by the loop by itself.
            await asyncio.sleep(0)
        while len([e for e in log if e["event"] == "configuration_reloaded"]) < 2:
            await asyncio.sleep(0)
        while site.reloading._busy:
            await asyncio.sleep(0)
        told = heard(listening)
    [reloading] = [line for line in told if line.startswith("RELOADING=1\n")]
    assert "\nMONOTONIC_USEC=" in reloading
    begun = told.index(reloading)
    assert told[begun + 1 :].count("READY=1") == 1
    manager.close()
    listening.socket.close()


async def test_a_signal_while_it_begins_is_for_when_it_has_begun(
    tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    site = DiskSite(tmp_path)
    [site.sip] = free_ports(1)
    agent = Agent(load(site.write()), tmp_path)
    agent._hung_up()
    served = asyncio.get_running_loop().create_task(agent.serve())
    async with asyncio.timeout(PATIENCE):
        while not [e for e in log if e["event"] == "configuration_reloaded"]:
            await asyncio.sleep(0)
        agent.stop()
        await served
    events = [entry["event"] for entry in log]
    assert events.index("ready") < events.index("configuration_reloaded")
