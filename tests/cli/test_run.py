import asyncio
import builtins
import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from agent.cli import run as run_module
from agent.common.strict_toml import ConfigError
from agent.common.swap import SwapError
from tests.cli.conftest import DiskSite


class Ended:
    """Stands for a daemon that was asked to end at once."""

    seen: list[Any]

    def __init__(self, config: Any, base: Any, manager: Any, *, source: Any) -> None:
        assert source() == config
        assert not manager.there
        Ended.seen = [config, base]

    async def serve(self, ready: Callable[[], None]) -> None:
        Ended.seen.append(asyncio.get_running_loop())
        ready()


@pytest.mark.parametrize("with_uvloop", [True, False])
def test_the_daemon_runs_with_its_configuration(
    disk_site: DiskSite,
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    *,
    with_uvloop: bool,
) -> None:
    real = builtins.__import__

    class FakeUvloop:
        new_event_loop = staticmethod(asyncio.new_event_loop)

    def import_(name: str, *arguments: Any, **named: Any) -> Any:
        if name != "uvloop":
            return real(name, *arguments, **named)
        if with_uvloop:
            return FakeUvloop
        raise ImportError(name)

    monkeypatch.setattr(run_module, "Agent", Ended)
    monkeypatch.setattr(builtins, "__import__", import_)
    before = gc.get_threshold()
    try:
        assert run("run", "-c", disk_site.write()) == 0
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > before
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
        structlog.reset_defaults()
    config, base, loop = Ended.seen
    assert config.agent.name == "test"
    assert base == disk_site.root
    assert loop.is_closed()
    assert "agent.cli.run" in sys.modules


def test_swap_in_the_clear_starts_nothing_unless_it_is_allowed(
    disk_site: DiskSite, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid() -> None:
        raise SwapError("Swap space is not known to be encrypted: /dev/sda2.")

    monkeypatch.setattr(run_module, "Agent", Ended)
    monkeypatch.setattr(run_module, "forbid_swap", forbid)
    monkeypatch.setattr(run_module, "_spare_the_collector", lambda: None)
    Ended.seen = []
    file = disk_site.write()
    try:
        assert run("run", "-c", file) == 0
        assert Ended.seen
        Ended.seen = []
        file.write_text(file.read_text().replace("allow_swap = true", ""))
        with pytest.raises(SwapError, match="allow_swap"):
            run("run", "-c", file)
        assert Ended.seen == []
    finally:
        structlog.reset_defaults()


def test_a_wrong_configuration_starts_nothing(
    disk_site: DiskSite, run: Callable[..., int]
) -> None:
    disk_site.write()
    disk_site.config.write_text("nonsense = 1\n")
    with pytest.raises(ConfigError):
        run("run", "-c", disk_site.config)


def test_a_target_outside_the_list_is_named_and_nothing_starts(
    disk_site: DiskSite, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "Agent", Ended)
    Ended.seen = []
    file = disk_site.write()
    stores = file.read_text().replace(
        "[[storage]]", '[[storage]]\nregion = "us-east-1"'
    )
    file.write_text(stores)
    with pytest.raises(
        ConfigError, match=r"storage\[0\]\.region: 'us-east-1' is in US"
    ):
        run("run", "-c", file)
    assert Ended.seen == []
