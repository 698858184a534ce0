import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from agent.common.errors import AgentError
from agent.model.events import AlarmEvent
from agent.service.alarm_events import QUIET, AlarmEvents


@dataclass(frozen=True)
class Raised:
    event: str
    fields: dict[str, str] = field(default_factory=dict)
    message_id: str = "m"
    summary: str = "s"
    since_utc_ns: int = 1
    count: int = 1


class Site:
    """A board, and an outbox that keeps what it is told."""

    def __init__(self, *former: str) -> None:
        self.former = former
        self.on: list[Raised] = []
        self.told: list[AlarmEvent] = []
        self.broken = False
        self.now = 0.0
        self.listeners: list[Callable[[Any, bool], None]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        outbox: Any = self
        self.events = AlarmEvents(outbox, self, self._spawn, lambda: self.now)

    def active(self) -> list[Raised]:
        return self.on

    def listen(self, callback: Callable[[Any, bool], None]) -> Callable[[], None]:
        self.listeners.append(callback)
        return lambda: None

    async def alarms_told(self) -> list[str]:
        if self.broken:
            raise AgentError("full.")
        return list(self.former)

    async def tell_alarm(self, event: AlarmEvent) -> None:
        if self.broken:
            raise AgentError("full.")
        self.told.append(event)

    def _spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(coroutine))

    async def settle(self) -> list[tuple[str, bool]]:
        await asyncio.gather(*self.tasks)
        told, self.told = self.told, []
        return [(event.event, event.active) for event in told]

    async def change(self, alarm: Raised, *, on: bool) -> list[tuple[str, bool]]:
        if on:
            self.on.append(alarm)
        else:
            self.on.remove(alarm)
        for listener in self.listeners:
            listener(alarm, on)
        return await self.settle()


async def test_an_alarm_is_told_and_its_end() -> None:
    site = Site()
    site.events.start()
    away = Raised("storage_away", {"storage": "main"})
    assert await site.change(away, on=True) == [("storage_away", True)]
    assert await site.change(away, on=False) == [("storage_away", False)]
    assert await site.settle() == []


async def test_it_is_on_while_any_has_it() -> None:
    site = Site()
    site.events.start()
    a, b = Raised("away", {"storage": "a"}), Raised("away", {"storage": "b"})
    assert await site.change(a, on=True) == [("away", True)]
    assert await site.change(b, on=True) == []
    assert await site.change(a, on=False) == []
    site.now += QUIET
    site.listeners[0](b, True)
    assert await site.settle() == [("away", True)]
    assert await site.change(b, on=False) == [("away", False)]


async def test_what_the_process_before_told_is_over_unless_it_is_on() -> None:
    site = Site("old", "still")
    site.on = [Raised("still")]
    site.events.start()
    assert sorted(await site.settle()) == [("old", False), ("still", True)]


async def test_an_outbox_that_fails_is_no_alarm() -> None:
    site = Site("old")
    site.broken = True
    site.events.start()
    assert await site.change(Raised("x"), on=True) == []
