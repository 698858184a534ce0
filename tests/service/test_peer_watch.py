import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from agent.service import peer_watch as module
from agent.service.peer_watch import PeerWatch
from agent.signalling.registrar import Account
from agent.signalling.sip.uri import parse_uri
from tests.service.test_credentials import peer


class Registrar:
    """Is registered at once, and says when it is not any more."""

    told: list[tuple[str, str]]

    def __init__(self, _: Any, account: Account, rng: random.Random) -> None:
        self.peer = account.peer
        self.registered = True
        Registrar.told.append(("new", self.peer))

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        Registrar.told.append(("taken back", self.peer))


class Prober:
    """Knows that whoever it asks is there."""

    made: list[dict[str, Any]]

    def __init__(self, _: Any, targets: dict[str, Any], rng: random.Random) -> None:
        self.targets = targets
        Prober.made.append(targets)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def is_down(self, name: str) -> bool:
        return name in self.targets

    def state_of(self, name: str) -> str:
        return "up" if name in self.targets else "unknown"


def account(name: str, expires: int = 600) -> Account:
    uri = parse_uri(f"sip:{name}.example")
    return Account(name, uri, uri, expires)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> PeerWatch:
    Registrar.told, Prober.made = [], []
    monkeypatch.setattr(module, "Registrar", Registrar)
    monkeypatch.setattr(module, "Prober", Prober)
    nobody: Any = None
    return PeerWatch(nobody, random.Random(7), lambda *_: None)


async def test_what_is_as_it_was_goes_on(watch: PeerWatch, tmp_path: Path) -> None:
    a, b = peer("a", probe=10.0), peer("b")
    await watch.use((a, b), (account("a"), account("b")))
    assert Registrar.told == [("new", "a"), ("new", "b")]
    assert [status.registered for status in watch.statuses()] == [True, True]
    assert watch.is_down("a")
    assert not watch.is_down("b")
    Registrar.told.clear()
    prober = watch.prober
    await watch.use((a, b), (account("a"), account("b", expires=60)))
    assert Registrar.told == [("new", "b"), ("taken back", "b")]
    assert watch.prober is prober
    await watch.use((b,), ())
    assert Registrar.told[2:] == [("taken back", "a"), ("taken back", "b")]
    assert Prober.made[-1] == {}
    assert [status.name for status in watch.statuses()] == ["b"]


async def test_at_the_end_all_is_taken_back(watch: PeerWatch) -> None:
    await watch.use((peer("a"),), (account("a"),))
    await watch.close()
    assert Registrar.told == [("new", "a"), ("taken back", "a")]
    assert watch.registrars == []
