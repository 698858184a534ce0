"""A publisher whose outbox and whose broker are in memory, and do as a test says."""

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import msgspec

from agent.common.errors import AgentError
from agent.events.broker import BrokerError, Message
from agent.events.config import MqttConfig
from agent.events.host_state import HostState
from agent.events.numbers import Numbers
from agent.events.publisher import Outbox, Publisher
from agent.events.topics import Topics
from agent.model.events import Backlog, Event, OutboxRow
from tests.patience import PATIENCE


class MemoryOutbox:
    """Rows in memory, as the outbox has them on disk."""

    def __init__(self) -> None:
        self.written = asyncio.Event()
        self.rows: dict[int, OutboxRow] = {}
        self.positions = itertools.count(1)
        self.broken = 0
        self.to_drop = 0
        self.most = 0
        self.bounds: list[tuple[int, int]] = []

    def add(self, *events: Event) -> None:
        for event in events:
            position = next(self.positions)
            line = getattr(event, "call_id", "") or "alarms/x"
            body = msgspec.json.encode(event)
            self.rows[position] = OutboxRow(position, line, body)
        self.written.set()

    async def exchange(
        self, sent: list[int], *, after: int, limit: int
    ) -> list[OutboxRow]:
        self.written.clear()
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise AgentError("the disk is full.")
        for position in sent:
            self.rows.pop(position, None)
        self.most = max(self.most, limit)
        return [row for row in self.rows.values() if row.position > after][:limit]

    async def trim(self, *, max_rows: int, before_utc_ns: int) -> int:
        self.bounds.append((max_rows, before_utc_ns))
        if self.broken:
            self.broken -= 1
            raise AgentError("the disk is full.")
        dropped, self.to_drop = self.to_drop, 0
        return dropped

    async def backlog(self) -> Backlog:
        return Backlog(len(self.rows), None)


class FakeBroker:
    """A connection that does as the site says."""

    def __init__(self, site: "Site", will: bytes) -> None:
        self.site = site
        self.will = msgspec.json.decode(will)
        self.incoming: asyncio.Queue[Message | None] = asyncio.Queue()
        self.subscribed: list[str] = []

    async def __aenter__(self) -> Self:
        if self.site.unreachable:
            self.site.unreachable -= 1
            raise BrokerError("nobody is there.")
        self.site.connections.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def subscribe(self, topic: str) -> bool:
        self.subscribed.append(topic)
        return not self.site.deaf

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self.incoming.get()) is not None:
            yield message
        raise BrokerError("it has gone.")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        await asyncio.sleep(0)
        if self.site.lost:
            self.site.lost -= 1
            self.incoming.put_nowait(None)
            await asyncio.get_running_loop().create_future()
        code = self.site.judge(topic)
        if code < 0x80:
            told = msgspec.json.decode(payload)
            self.site.published.append((topic, told, retain))
        return code


class Site:
    def __init__(self, outbox: Outbox | None = None, **config: Any) -> None:
        self.outbox = MemoryOutbox()
        self.connections: list[FakeBroker] = []
        self.published: list[tuple[str, dict[str, Any], bool]] = []
        self.unreachable = 0
        self.deaf = False
        self.lost = 0
        self.judge: Callable[[str], int] = lambda _: 0
        self.answer: tuple[str, bytes] | None = None
        self.asked: list[Message] = []
        self.numbers = Numbers()
        self.publisher = Publisher(
            outbox or self.outbox,
            lambda will: FakeBroker(self, will),  # type: ignore[arg-type, return-value]
            Topics("h"),
            config=MqttConfig(url="mqtts://broker", **config),
            state=lambda life: HostState(
                host="h", state=life, utc_ns=2, started_utc_ns=1, version="0"
            ),
            answer=self._answer,
            numbers=self.numbers,
            rng=random.Random(1),
        )

    async def _answer(self, message: Message) -> tuple[str, bytes] | None:
        self.asked.append(message)
        return self.answer

    def kinds(self, call_id: str) -> list[str]:
        return [t["kind"] for _, t, _ in self.published if t.get("call_id") == call_id]

    def states(self) -> list[str]:
        return [told["state"] for topic, told, _ in self.published if "status" in topic]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                # By way of a thread: else the outbox's would hardly ever have a turn.
                await asyncio.to_thread(os.sched_yield)
