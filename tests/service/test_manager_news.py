import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.common.service_manager import ServiceManager
from agent.service.health import WORKER_SECONDS, Health, Signs
from agent.service.host_status import HostStatus, StorageStatus, WorkerStatus
from agent.service.manager_news import STATUS_SECONDS, ManagerNews, state_of
from tests.common.test_service_manager import Manager
from tests.service.test_health import NOW, WELL


@pytest.fixture
def manager(tmp_path: Path) -> Any:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


@pytest.fixture
def service(tmp_path: Path, manager: Manager) -> Any:
    made: list[ServiceManager] = []

    def make(**environment: str) -> ServiceManager:
        path = str(tmp_path / "notify")
        made.append(ServiceManager({"NOTIFY_SOCKET": path, **environment}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def heard(manager: Manager) -> list[str]:
    told = []
    manager.socket.settimeout(0)
    while True:
        try:
            told.append(manager.hears()[0])
        except BlockingIOError:
            return told


def test_life_is_told_each_time_and_state_when_it_is_another(
    manager: Manager, service: Callable[..., ServiceManager]
) -> None:
    lines = ["1 call"]
    news = ManagerNews(service(), Health(lambda: WELL), lambda: lines[0])
    news.turn(NOW)
    assert heard(manager) == ["WATCHDOG=1", "STATUS=1 call"]
    lines[0] = "2 calls"
    news.turn(NOW + STATUS_SECONDS / 2)
    assert heard(manager) == ["WATCHDOG=1"]
    news.turn(NOW + STATUS_SECONDS)
    assert heard(manager) == ["WATCHDOG=1", "STATUS=2 calls"]
    news.turn(NOW + 2 * STATUS_SECONDS)
    assert heard(manager) == ["WATCHDOG=1"]


def test_what_is_stuck_is_no_life_and_is_said_once(
    manager: Manager,
    service: Callable[..., ServiceManager],
    log: list[dict[str, Any]],
) -> None:
    news = ManagerNews(service(), Health(lambda: WELL), lambda: "")
    for seconds in (1, 2):
        news.turn(NOW + WORKER_SECONDS + seconds)
    assert heard(manager) == []
    [entry] = log
    assert entry["event"] == "health_lost"
    assert "no sign of life" in entry["findings"][0]


async def test_it_tells_as_often_as_it_is_asked_to(
    service: Callable[..., ServiceManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def rest(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr("agent.service.manager_news.asyncio.sleep", rest)
    for given in ({}, {"WATCHDOG_USEC": "4000000"}, {"WATCHDOG_USEC": "60000000"}):
        news = ManagerNews(service(**given), Health(Signs), lambda: "")
        with pytest.raises(asyncio.CancelledError):
            await news.run()
    assert slept == [2.0, 1.0, 2.0]


def test_a_line_of_state() -> None:
    host = HostStatus(
        spool_used=0.126,
        spool_high_water=0.8,
        spool_free_mb=1,
        spool_alarm=False,
        to_finish=0,
        to_finish_for=None,
        finishing_alarm=False,
        to_store=2,
        to_store_for=1.0,
        storage_away=False,
    )
    assert state_of(1, host) == "1 call; spool 13 % full; 2 to store"
    away = StorageStatus(name="north", to_store=2, to_store_for=1.0, away=True)
    worker = WorkerStatus(number=0, alive=False, restarts=1)
    told = state_of(
        2,
        HostStatus(
            **{
                **{name: getattr(host, name) for name in host.__struct_fields__},
                "to_finish": 3,
                "draining": True,
                "storages": (away,),
                "workers": (worker,),
            }
        ),
        ("look here",),
    )
    assert told == (
        "2 calls; draining; spool 13 % full; 3 to finish; 2 to store;"
        " storage away: north; 1 of 1 media workers down; look here"
    )
    assert state_of(0, None) == "0 calls; the spool cannot be read"
